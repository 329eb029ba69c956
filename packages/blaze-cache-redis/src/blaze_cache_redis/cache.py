"""The caches for `Session` and `AsyncSession`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from redis.exceptions import ConnectionError, ResponseError

from blaze.cache.backend import CacheStats, Hits
from blaze.utils import fork
from blaze_cache_redis.aio import AwaitedCache
from blaze_cache_redis.link import Link
from blaze_cache_redis.requests import Request, Requests
from blaze_cache_redis.settings import MOST_IDLE, Settings, options_of

__all__ = ["AsyncRedisCache", "RedisCache"]


class RedisCache:
    """Keep values in the Redis at `url` (redis://, rediss:// or unix://), where all processes see them.

    - `namespace`: caches with different ones share nothing, and `clear` drops nothing of others.
    - `ttl`: seconds that values live, at most 30 days (None). It bounds how long a process that can reach
      Redis may find a row whose invalidation another process could not deliver.
    - `timeout`: seconds for connecting, and for one call; so a call takes twice as long at most.

    The three may stand in the URL instead, as in `redis://localhost/0?namespace=shop&ttl=60`.

    Safe between threads and over forks. Takes the same connections for all sessions; `AsyncSession` uses
    `aio`, which waits without blocking. Raises `ConfigurationError` for what cannot be right; Redis itself is
    asked at the first call. Calls raise the errors of redis-py.
    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379/0",
        *,
        namespace: str = "blaze",
        ttl: Optional[float] = 300.0,
        timeout: float = 0.05,
    ) -> None:
        url, limits = options_of(url, namespace, ttl, timeout)
        self._settings = Settings(url, *limits)
        self._requests = Requests(*limits[:2])
        self._idle: list[Link] = []
        self._aio: Optional[AsyncRedisCache] = None
        fork.watch(self)

    @property
    def aio(self) -> AsyncRedisCache:
        """The same cache, awaited."""
        if self._aio is None:
            self._aio = AsyncRedisCache.of(self)
        return self._aio

    @property
    def blocking(self) -> RedisCache:
        """The form of the cache that can be called from any thread."""
        return self

    def get_many(self, keys: Iterable[str]) -> Hits:
        """Return the values of those keys that the cache has, with the mark of this moment."""
        found: Hits = self._ask(self._requests.get(keys))
        return found

    def set_many(self, values: Mapping[str, Any], ttl: Optional[float] = None, mark: Any = None) -> int:
        """Store values; return how many were stored.

        Keys that were deleted after `mark`, or are held, are left out, and all of them while Redis has no
        room. Raises TypeError, with nothing stored, for a value that is not JSON-like.
        """
        request = self._requests.set(values, ttl, mark)
        if request is None:
            return 0
        try:
            return int(self._ask(request))
        except ResponseError as error:
            if self._requests.is_full(error):
                return 0
            raise

    def delete_many(self, keys: Iterable[str], hold: float = 0.0, holder: str = "") -> int:
        """Drop keys, and hold them for seconds or until `holder` lets go; return how many were there."""
        request = self._requests.delete(keys, hold, holder)
        return 0 if request is None else int(self._ask(request))

    def clear(self) -> None:
        """Drop everything of the namespace, for good. Held keys stay held."""
        self._ask(self._requests.clear())

    def stats(self) -> CacheStats:
        """Return the counts of this process, those of `aio` included; Redis is not asked."""
        return self._requests.stats()

    def close(self) -> None:
        """Close the connections that nobody uses; those of `aio`, too. The values stay."""
        self._close_idle()
        if self._aio is not None:
            self._aio.abandon()

    def __repr__(self) -> str:
        return f"<RedisCache {self._settings}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a cache cannot be pickled; make one in each process from its URL")

    def before_fork(self) -> None:
        """Do nothing: the child takes no lock of the parent."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Leave the connections to the parent."""
        self._idle = []
        self._requests.renew()
        if self._aio is not None:
            self._aio.after_fork_in_child()

    def _ask(self, request: Request) -> Any:
        timeout = self._settings.timeout
        while True:
            link = self._take_idle()
            used = link is not None
            try:
                link = link or Link(self._settings)
                result = self._finish(link, request, timeout)
            except ConnectionError:
                if not used:
                    self._requests.failed()
                    raise
                self._close_idle()  # the server has closed it meanwhile, and all the others with it
                continue
            except Exception:
                self._requests.failed()
                raise
            if len(self._idle) < MOST_IDLE:
                self._idle.append(link)
            else:
                link.close()
            return result

    def _take_idle(self) -> Optional[Link]:
        try:
            return self._idle.pop()
        except IndexError:  # another thread may have taken the last one since anybody has looked
            return None

    def _close_idle(self) -> None:
        while True:
            link = self._take_idle()
            if link is None:
                break
            link.close()

    @staticmethod
    def _finish(link: Link, request: Request, timeout: float) -> Any:
        try:
            return request.finish(link.ask(request, timeout))
        except BaseException:
            link.close()
            raise


class AsyncRedisCache(AwaitedCache):
    """`RedisCache` with the same arguments, whose calls are awaited; for `AsyncSession` alone.

    Connections belong to the event loop that opened them: `await close()` before the loop ends. `blocking` is
    the form that can be called from any thread.
    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379/0",
        *,
        namespace: str = "blaze",
        ttl: Optional[float] = 300.0,
        timeout: float = 0.05,
    ) -> None:
        self._pair(RedisCache(url, namespace=namespace, ttl=ttl, timeout=timeout))

    @classmethod
    def of(cls, blocking: RedisCache) -> AsyncRedisCache:
        """Return the awaited form of a cache: same namespace, same counts."""
        self = cls.__new__(cls)
        self._pair(blocking)
        return self

    def _pair(self, blocking: RedisCache) -> None:
        super().__init__(blocking._settings, blocking._requests)
        self.blocking = blocking
        blocking._aio = self
