# Generated from runyard/_async by make_sync.py: edit the source there.
"""The synchronous client."""
