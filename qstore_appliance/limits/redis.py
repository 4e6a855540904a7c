"""Token buckets in Redis, for several appliances behind one address: one script, one round trip, atomic."""

from __future__ import annotations

from importlib import resources

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from qstore_appliance.errors import Unavailable
from qstore_appliance.limits.bucket import REFILL_SECONDS, Taken, outcome
from qstore_appliance.limits.memory import MemoryBucket

log = structlog.get_logger(__name__)

CONNECTIONS = 32
#: A request waits so long for one of them before Redis is taken to be away.
WAIT_SECONDS = 3.0


class RedisBucket:
    """
    Implements `ports.TokenBucket` on the hash `ratelimit:<key>`.

    While Redis is away each process limits by itself: requests go on being limited, by a bucket for each process.
    """

    def __init__(self, url: str) -> None:
        # A burst waits for a connection: one that found none would count in this process, and pass twice.
        pool = BlockingConnectionPool.from_url(
            url, max_connections=CONNECTIONS, timeout=WAIT_SECONDS, socket_timeout=1.0, socket_connect_timeout=1.0
        )
        self._redis = Redis.from_pool(pool)
        script = resources.files("qstore_appliance.limits").joinpath("bucket.lua").read_text(encoding="utf-8")
        self._script = self._redis.register_script(script)
        self._alone = MemoryBucket()
        self._away = False

    async def take(self, key: str, size: int, tokens: int = 1) -> Taken:
        try:
            before = await self._script(keys=[f"ratelimit:{key}"], args=[size, tokens, REFILL_SECONDS])
        except (RedisError, OSError) as error:
            if not self._away:
                self._away = True
                log.warning("limits.redis_away", error=str(error))
            return await self._alone.take(key, size, tokens)
        if self._away:
            self._away = False
            log.info("limits.redis_back")
        return outcome(float(before), size, tokens)[1]

    @property
    def away(self) -> bool:
        """Whether each process counts for itself at the moment."""
        return self._away

    async def ping(self) -> None:
        """
        Raises:
            Unavailable: Redis does not answer.
        """
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer: {error}") from error

    async def close(self) -> None:
        await self._redis.aclose()
