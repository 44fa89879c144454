"""The client for asyncio. runyard/_sync is made from this folder by make_sync.py."""
