"""Second-level caches: the contract of a backend, and the one in memory."""

from blaze.cache.backend import AsyncCacheBackend, CacheBackend, CacheStats, Hits
from blaze.cache.memory import MemoryCache

__all__ = ["AsyncCacheBackend", "CacheBackend", "CacheStats", "Hits", "MemoryCache"]
