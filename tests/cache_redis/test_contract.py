"""The contract of cache backends, kept by the ones in Redis."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from blaze.testing.cache_suite import CacheSuite
from tests.cache_redis.conftest import TIMEOUT
from tests.cache_redis.watched import AsyncRedisCache, RedisCache

pytestmark = pytest.mark.requirement("R36")


class InRedis(CacheSuite):
    kind: Any

    @pytest.fixture(autouse=True)
    def place(self, redis_url: str, namespace: str) -> None:
        numbers = itertools.count()
        self.make = lambda: self.kind(  # type: ignore[method-assign]
            redis_url, namespace=f"{namespace}-{next(numbers)}", timeout=TIMEOUT
        )


class TestRedisCache(InRedis):
    kind = RedisCache


class TestAsyncRedisCache(InRedis):
    kind = AsyncRedisCache


class TestTheAwaitedFormOfACache(InRedis):
    @staticmethod
    def kind(*arguments: Any, **options: Any) -> Any:
        return RedisCache(*arguments, **options).aio
