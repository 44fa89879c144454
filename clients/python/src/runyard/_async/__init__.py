"""The asyncio client. make_sync.py generates runyard/_sync from this folder."""
