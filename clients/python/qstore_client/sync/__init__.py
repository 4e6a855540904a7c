"""Without asyncio. All but `wire.py` is written from `aio/` by `generate`."""
