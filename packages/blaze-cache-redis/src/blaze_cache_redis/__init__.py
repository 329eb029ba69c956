"""A second-level cache of Blaze in Redis, shared by all processes."""

from blaze_cache_redis.cache import AsyncRedisCache, RedisCache

__all__ = ["AsyncRedisCache", "RedisCache"]
