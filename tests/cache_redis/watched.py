"""A cache in Redis that tests can look into."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("blaze_cache_redis", reason="NO blaze-cache-redis: install it")

from blaze_cache_redis import AsyncRedisCache, RedisCache
from blaze_cache_redis.values import decode
from tests.support.redis import client

__all__ = ["AsyncRedisCache", "RedisCache", "WatchedCache"]


class WatchedCache(RedisCache):
    """`entries` are its values by key, `asked` the number of calls that sessions made, by name of thread."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.url = url
        self.asked = 0
        self._count_calls(self)
        self._count_calls(self.aio)

    def _count_calls(self, form: Any) -> None:
        ask = form._ask

        def counted(request: Any) -> Any:
            if threading.current_thread() is threading.main_thread():  # the probes have a thread of their own
                self.asked += 1
            return ask(request)

        form._ask = counted

    def entries(self) -> dict[str, Any]:
        with client(self.url) as found:
            prefix = f"{{{self._settings.namespace}}}:1:"
            epoch = found.hget(f"{prefix}state", "epoch")
            if epoch is None:
                return {}
            start = f"{prefix}{epoch.decode()}:"
            names = list(found.scan_iter(match=f"{start}*", count=1_000))
            values = found.mget(names) if names else []
        return {
            name.decode()[len(start) :]: decode(value)
            for name, value in zip(names, values)
            if value is not None
        }

    def sibling(self, namespace: str) -> WatchedCache:
        """Return a cache with another namespace on the same connections."""
        found = WatchedCache(self.url, namespace=namespace, timeout=self._settings.timeout)
        found._idle = self._idle
        found.aio._idle = self.aio._idle
        return found
