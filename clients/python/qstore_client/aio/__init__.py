"""With asyncio. What is in `sync/` is written from this."""
