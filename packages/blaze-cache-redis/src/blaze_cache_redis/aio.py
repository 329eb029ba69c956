"""The calls of the cache for `AsyncSession`."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from redis.exceptions import ConnectionError, NoScriptError, RedisError, ResponseError, TimeoutError

from blaze.cache.backend import CacheStats, Hits
from blaze_cache_redis.requests import Request, Requests, run_of
from blaze_cache_redis.settings import AWAITED_KINDS, MOST_IDLE, Settings

if sys.version_info >= (3, 11):
    from asyncio import timeout as within
else:
    from async_timeout import timeout as within  # pyright: ignore[reportMissingImports]

__all__ = ["AwaitedCache"]


class AwaitedCache:
    """What `AsyncRedisCache` is made of: the calls of a cache, and the connections of each event loop."""

    def __init__(self, settings: Settings, requests: Requests) -> None:
        self._settings = settings
        self._requests = requests
        self._idle: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[_AsyncLink]] = (
            weakref.WeakKeyDictionary()
        )
        self._inherited: list[Any] = []

    async def get_many(self, keys: Iterable[str]) -> Hits:
        """Return the values of those keys that the cache has, with the mark of this moment."""
        found: Hits = await self._ask(self._requests.get(keys))
        return found

    async def set_many(self, values: Mapping[str, Any], ttl: Optional[float] = None, mark: Any = None) -> int:
        """Store values; return how many were stored. See `RedisCache.set_many`."""
        request = self._requests.set(values, ttl, mark)
        if request is None:
            return 0
        try:
            return int(await self._ask(request))
        except ResponseError as error:
            if self._requests.is_full(error):
                return 0
            raise

    async def delete_many(self, keys: Iterable[str], hold: float = 0.0, holder: str = "") -> int:
        """Drop keys, and hold them for seconds or until `holder` lets go; return how many were there."""
        request = self._requests.delete(keys, hold, holder)
        return 0 if request is None else int(await self._ask(request))

    async def clear(self) -> None:
        """Drop everything of the namespace, for good. Held keys stay held."""
        await self._ask(self._requests.clear())

    async def stats(self) -> CacheStats:
        """Return the counts of this process; Redis is not asked."""
        return self._requests.stats()

    async def close(self) -> None:
        """Close the connections of the running loop that nobody uses. The values stay."""
        idle = self._idle.get(asyncio.get_running_loop(), [])
        while idle:
            await idle.pop().close()

    def abandon(self) -> None:
        """Let the loops that still run close their connections."""
        for loop, idle in list(self._idle.items()):
            while idle and not loop.is_closed():
                loop.call_soon_threadsafe(_close_soon, idle.pop())

    def after_fork_in_child(self) -> None:
        """Leave the connections to the parent; closing them here would disturb its event loop."""
        self._inherited.append(self._idle)
        self._idle = weakref.WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<AsyncRedisCache {self._settings}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a cache cannot be pickled; make one in each process from its URL")

    async def _ask(self, request: Request) -> Any:
        idle = self._idle.setdefault(asyncio.get_running_loop(), [])
        while True:
            used = bool(idle)
            try:
                link = idle.pop() if used else await _AsyncLink.open(self._settings)
                result = await self._finish(link, request)
            except ConnectionError:
                if not used:
                    self._requests.failed()
                    raise
                # The server has closed it meanwhile, and all the others with it.
                while idle:
                    await idle.pop().close()
                continue
            except Exception:
                self._requests.failed()
                raise
            if len(idle) < MOST_IDLE:
                idle.append(link)
            else:
                await link.close()
            return result

    async def _finish(self, link: _AsyncLink, request: Request) -> Any:
        try:
            return request.finish(await link.ask(request, self._settings.timeout))
        except BaseException:
            await link.close()
            raise


class _AsyncLink:
    """One open connection; `run` tells the run of the server it goes to."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.run = b""

    @classmethod
    async def open(cls, settings: Settings) -> _AsyncLink:
        """Connect and log in, within the time of the settings; raises what redis-py raises."""
        self = cls(settings.connection(AWAITED_KINDS, None))
        problem: Optional[Exception] = None
        try:
            async with within(settings.timeout):
                await self.connection.connect()
                await self.connection.send_command("INFO", "server")
                self.run = run_of(await self.connection.read_response())
        except asyncio.TimeoutError:
            problem = TimeoutError("Timeout connecting to server")
        except RedisError as error:
            problem = type(error)(*error.args)
        except BaseException:
            await self.close()
            raise
        if problem is not None:  # raised from here: the frames of the login hold the password
            await self.close()
            raise problem
        return self

    async def ask(self, request: Request, timeout: float) -> Any:
        """Return the answer to a request, within so many seconds."""
        connection = self.connection
        try:
            async with within(timeout):
                await connection.send_command(*request.command(self.run))
                try:
                    return await connection.read_response()
                except NoScriptError:
                    await connection.send_command(*request.command(self.run, known=False))
                    return await connection.read_response()
        except asyncio.TimeoutError:
            raise TimeoutError(f"no answer within {timeout} seconds") from None

    async def close(self) -> None:
        """Close the connection at once."""
        await self.connection.disconnect(nowait=True)


def _close_soon(link: _AsyncLink) -> None:
    task = asyncio.ensure_future(link.close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


_closing: set[Any] = set()
