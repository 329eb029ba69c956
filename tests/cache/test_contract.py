"""The contract of cache backends, kept by the one in memory, called directly and awaited."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import MemoryCache
from blaze.testing.cache_suite import CacheSuite
from tests.cache.test_sessions import Asynchronous


@pytest.mark.requirement("R36")
class TestMemoryCache(CacheSuite):
    def make(self) -> Any:
        return MemoryCache()


@pytest.mark.requirement("R36")
class TestAnAwaitedCache(CacheSuite):
    def make(self) -> Any:
        return Asynchronous()
