# Made from runyard/_async by make_sync.py: change it there.
"""The client without asyncio."""
