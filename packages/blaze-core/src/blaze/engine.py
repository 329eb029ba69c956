"""The engine: one database, its dialect, and the pools of connections to it."""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union, cast

from blaze import plugins
from blaze.adapters.adapter import Adapter, AsyncAdapter, Backend, Keeper
from blaze.adapters.addresses import address
from blaze.adapters.config import ConnectionConfig
from blaze.adapters.connection import AsyncConnection, Connection
from blaze.adapters.pool import Limits, Pool, PoolStats, closed_error
from blaze.dialects.dialect import Dialect
from blaze.errors import BlazeError, ConfigurationError
from blaze.security.secret import Secret
from blaze.utils import fork

# asyncio is half of what importing this module would cost, and a blocking program never needs it.
if TYPE_CHECKING:
    import asyncio

    from blaze.adapters.async_pool import AsyncPool

__all__ = ["Engine", "PoolStats"]

T = TypeVar("T")
Target = Union[str, Secret, ConnectionConfig, Adapter, AsyncAdapter]
Replica = Union[str, Secret, ConnectionConfig, "Engine"]


class _Resources:
    """What an engine must let go of; apart from it, so that a forgotten engine can be collected and still
    closes.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pool: Optional[Pool] = None
        self.async_pools: dict[asyncio.AbstractEventLoop, AsyncPool] = {}
        self.keeper: Optional[Keeper] = None
        self.closed = False
        fork.watch(self)

    def close(self) -> None:
        """Close everything that can be closed without an event loop."""
        self.closed = True
        if self.pool is not None:
            self.pool.close()
        while self.async_pools:
            loop, pool = self.async_pools.popitem()
            if loop.is_running() and not _is_current(loop):
                loop.call_soon_threadsafe(pool.terminate)
            else:
                pool.terminate()
        self.close_keeper()

    def close_keeper(self) -> None:
        """Let the in-memory database go with its last connection."""
        keeper, self.keeper = self.keeper, None
        if keeper is not None:
            keeper.close()

    def before_fork(self) -> None:
        """Come to rest."""
        self.lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self.lock.release()

    def after_fork_in_child(self) -> None:
        """Forget the loops of the parent; the pools themselves forget its connections."""
        self.lock = threading.Lock()
        self.async_pools = {}


def _is_current(loop: asyncio.AbstractEventLoop) -> bool:
    import asyncio

    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


class Engine:
    """Hold the connections to one database; make one per database and process, and share it between threads
    and tasks.

    ``target`` is a DSN, a ConnectionConfig, or an adapter with ``config`` (a DSN or ConnectionConfig) beside
    it. Pool settings left out come from the DSN, else they are ``pool_size=5, max_overflow=10,
    pool_timeout=5.0`` seconds and ``recycle=3600.0`` seconds (0: never). ``replicas`` are DSNs,
    configurations or engines of read-only copies. Nothing is connected before it is needed.
    """

    def __init__(
        self,
        target: Target,
        *,
        config: Union[str, Secret, ConnectionConfig, None] = None,
        pool_size: Optional[int] = None,
        max_overflow: Optional[int] = None,
        pool_timeout: Optional[float] = None,
        recycle: Optional[float] = None,
        replicas: Sequence[Replica] = (),
    ) -> None:
        # DSNs are wrapped before anything can fail, so that no traceback shows their password.
        target = Secret(target) if isinstance(target, str) else target
        config = Secret(config) if isinstance(config, str) else config
        if isinstance(replicas, str):
            replicas = cast(Any, Secret(replicas))  # refused in the next line
        replicas = _guarded(replicas)
        adapter, settings = _split(target, config)
        self.config = settings
        self._backend: Optional[Backend] = None
        self._adapter: Optional[Adapter] = None
        self._async_adapter: Optional[AsyncAdapter] = None
        if adapter is None:
            self._adapter = _made(settings.scheme, self._find_backend().make_adapter, settings.driver)
        elif _is_async(adapter):
            self._async_adapter = cast(AsyncAdapter, adapter)
        else:
            self._adapter = cast(Adapter, adapter)
        self._limits = _limits(settings, pool_size, max_overflow, pool_timeout, recycle)
        self._resources = resources = _Resources()
        first: Any = self._adapter or self._async_adapter
        prepared = first.prepare(settings)
        self._prepared, resources.keeper = prepared.config, prepared.keeper
        # What tells this database from others, for caches; users and drivers of one database share it.
        at = prepared.identity or address(settings.host, settings.port, settings.database)
        named = settings.get("cache_name")
        self.identity: str = f"{first.name}:{named}" if named else f"{first.name}://{at}"
        self._finalizer = weakref.finalize(self, resources.close)
        if self._adapter is not None:
            pool = self._open_pool(self._adapter)
            # The pool's own methods, without a frame between: every session opened passes here.
            self.acquire = pool.acquire  # type: ignore[method-assign]
            self.release = pool.release  # type: ignore[method-assign]
        self.replicas = tuple(self._replica(replica) for replica in replicas)
        self._readers = itertools.cycle(self.replicas)

    # Knowledge

    @property
    def dialect(self) -> Dialect:
        """Give the dialect as seen through the blocking driver (the asynchronous one where there is no
        other).
        """
        return (self._adapter or self.async_adapter).dialect

    @property
    def async_dialect(self) -> Dialect:
        """Give the dialect as seen through the asynchronous driver; ConfigurationError without one."""
        return self.async_adapter.dialect

    @property
    def adapter(self) -> Adapter:
        """Give the blocking adapter; ConfigurationError where there is none."""
        if self._adapter is None:
            self._adapter = _made(self.config.scheme, self._find_backend().make_adapter)
            self._prepare_second(self._adapter)
        return self._adapter

    @property
    def async_adapter(self) -> AsyncAdapter:
        """Give the asynchronous adapter; ConfigurationError where there is none."""
        if self._async_adapter is None:
            make = self._find_backend().make_async_adapter
            self._async_adapter = _made(self.config.scheme, make, self.config.driver)
            self._prepare_second(self._async_adapter)
        return self._async_adapter

    def _prepare_second(self, adapter: Any) -> None:
        """Let the adapter of the other kind see the configuration; the first one holds what is kept open."""
        keeper = adapter.prepare(self._prepared).keeper
        if keeper is not None:
            keeper.close()

    def reader(self) -> Engine:
        """Give the next replica in turn, or the engine itself when there is none."""
        return next(self._readers) if self.replicas else self

    # Connections

    def acquire(self, timeout: Optional[float] = None) -> Connection:
        """Give a connection, waiting at most ``timeout`` seconds (None: ``pool_timeout``); PoolTimeoutError
        after that.
        """
        return self._blocking_pool().acquire(timeout)

    def release(self, connection: Connection, discard: bool = False) -> None:
        """Take a connection back; an open transaction in it is rolled back, ``discard`` closes it."""
        self._blocking_pool().release(connection, discard)

    async def aacquire(self, timeout: Optional[float] = None) -> AsyncConnection:
        """Give a connection of the running loop, waiting at most ``timeout`` seconds (None:
        ``pool_timeout``).
        """
        return await self._async_pool().acquire(timeout)

    async def arelease(self, connection: AsyncConnection, discard: bool = False) -> None:
        """Take a connection of the running loop back; like ``release``."""
        await self._async_pool().release(connection, discard)

    def abandon(self, connection: AsyncConnection) -> None:
        """Close an asynchronous connection that nobody is going to give back; callable from any thread."""
        for loop, pool in list(self._resources.async_pools.items()):
            if not pool.lends(connection):
                continue
            if loop.is_closed() or _is_current(loop):
                pool.abandon(connection)
            else:
                loop.call_soon_threadsafe(pool.abandon, connection)

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection for a ``with`` block; what is not committed in it is rolled back."""
        connection = self.acquire()
        try:
            yield connection
        finally:
            self.release(connection)

    @contextlib.asynccontextmanager
    async def aconnection(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for an ``async with`` block; what is not committed in it is rolled back."""
        connection = await self.aacquire()
        try:
            yield connection
        finally:
            await self.arelease(connection)

    def with_options(self, **options: Any) -> Engine:
        """Make an engine on the same database whose connections are opened with these options changed.

        It has the pool settings and adapters of this one, no replicas; whoever asks for it disposes of it.
        """
        if self._resources.closed:
            raise closed_error()
        limits = self._limits
        adapter = self._adapter or self.async_adapter
        other = Engine(
            adapter,
            config=self._prepared.with_options(**options),
            pool_size=limits.size,
            max_overflow=limits.max_overflow,
            pool_timeout=limits.timeout,
            recycle=limits.recycle,
        )
        other._async_adapter = self._async_adapter
        return other

    @property
    def max_connections(self) -> int:
        """How many connections the pool gives out at the same time: `pool_size` and `max_overflow`."""
        return self._limits.total

    @property
    def pool_timeout(self) -> float:
        """How many seconds a caller waits for a connection, or for a session that another thread uses."""
        return self._limits.timeout

    def pool_stats(self) -> PoolStats:
        """Count the connections of all pools now; ``size`` is what each pool keeps."""
        pools: list[Any] = list(self._resources.async_pools.values())
        if self._resources.pool is not None:
            pools.append(self._resources.pool)
        counts = [pool.stats() for pool in pools]
        return PoolStats(
            self._limits.size,
            sum(count.in_use for count in counts),
            sum(count.idle for count in counts),
            sum(count.waiting for count in counts),
        )

    # End

    def dispose(self) -> None:
        """Close all connections, those in use when they come back, and those of the replicas; may be called
        twice.

        Asynchronous connections are closed without waiting; use ``adispose`` where a loop runs.
        """
        self._finalizer()
        for replica in self.replicas:
            replica.dispose()

    async def adispose(self) -> None:
        """Close all connections and wait for those of the running loop."""
        import asyncio

        pool = self._resources.async_pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            self._resources.closed = True
            await pool.close()
        for replica in self.replicas:
            await replica.adispose()
        self.dispose()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.dispose()

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.adispose()

    def __repr__(self) -> str:
        config: Optional[ConnectionConfig] = getattr(self, "config", None)  # None in a traceback of __init__
        return "Engine(...)" if config is None else f"Engine({config.redacted()!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("an engine cannot be pickled; make one in each process from its configuration")

    # Inside

    def _find_backend(self) -> Backend:
        if self._backend is None:
            self._backend = cast(Backend, plugins.backend(self.config.scheme))
        return self._backend

    def _replica(self, replica: Replica) -> Engine:
        if isinstance(replica, Engine):
            return replica
        limits = self._limits
        return Engine(
            replica,
            pool_size=limits.size,
            max_overflow=limits.max_overflow,
            pool_timeout=limits.timeout,
            recycle=limits.recycle,
        )

    def _blocking_pool(self) -> Pool:
        with self._resources.lock:
            if self._resources.closed:
                raise closed_error()
            return self._resources.pool or self._open_pool(self.adapter)

    def _open_pool(self, adapter: Adapter) -> Pool:
        pool = self._resources.pool = Pool(partial(adapter.connect, self._prepared), self._limits)
        return pool

    def _async_pool(self) -> AsyncPool:
        from asyncio import get_running_loop

        loop = get_running_loop()
        pool = self._resources.async_pools.get(loop)
        return self._open_async_pool(loop) if pool is None else pool

    def _open_async_pool(self, loop: asyncio.AbstractEventLoop) -> AsyncPool:
        from blaze.adapters.async_pool import AsyncPool

        with self._resources.lock:
            if self._resources.closed:
                raise closed_error()
            pools = self._resources.async_pools
            for other in [other for other in pools if other.is_closed()]:  # asyncio.run() made and ended them
                pools.pop(other).terminate()
            pool = pools[loop] = AsyncPool(partial(self.async_adapter.connect, self._prepared), self._limits)
            return pool


def _guarded(replicas: Any) -> list[Any]:
    """Return the replicas, DSNs wrapped; raise `ConfigurationError` for what is no list of them."""
    if not isinstance(replicas, Iterable):
        raise ConfigurationError("replicas takes a list of DSNs, configurations or engines")
    return [Secret(replica) if isinstance(replica, str) else replica for replica in replicas]


def _is_async(adapter: Union[Adapter, AsyncAdapter]) -> bool:
    from inspect import iscoroutinefunction

    return iscoroutinefunction(adapter.connect)


def _split(
    target: Union[Secret, ConnectionConfig, Adapter, AsyncAdapter],
    config: Union[Secret, ConnectionConfig, None],
) -> tuple[Union[Adapter, AsyncAdapter, None], ConnectionConfig]:
    """Tell adapter and configuration apart."""
    if isinstance(target, (Secret, ConnectionConfig)):
        if config is not None:
            raise ConfigurationError(
                "the DSN was given twice; `config` belongs to an engine made of an adapter"
            )
        return None, ConnectionConfig.from_dsn(target) if isinstance(target, Secret) else target
    if not hasattr(target, "connect") or not hasattr(target, "dialect") or isinstance(target, type):
        kind = target.__name__ if isinstance(target, type) else type(target).__name__
        raise ConfigurationError(
            f"an engine is made of a DSN, a ConnectionConfig or an adapter object, not of {kind}"
        )
    if config is None:
        return target, ConnectionConfig(scheme=target.name)
    settings = ConnectionConfig.from_dsn(config) if isinstance(config, Secret) else config
    if not isinstance(settings, ConnectionConfig):
        kind = type(config).__name__
        raise ConfigurationError(f"an adapter takes its database as a DSN or ConnectionConfig, not as {kind}")
    if settings.scheme != target.name and not _opens(target.name, settings.scheme):
        raise ConfigurationError(
            f"{type(target).__name__} opens databases of {target.name}, not of {settings.scheme}: give it a "
            f"DSN that begins with {target.name}://, or give the DSN alone and leave the adapter out"
        )
    return target, settings


def _opens(name: str, scheme: str) -> bool:
    """Whether a scheme is another name of those databases, as mariadb is of mysql."""
    backend = plugins.backend(scheme, missing_ok=True)
    return backend is not None and _made(scheme, backend.make_adapter).name == name


def _made(scheme: str, make: Callable[..., T], *driver: Optional[str]) -> T:
    """Call a factory of a backend; what somebody's module raises in it is a `PluginError` that names it."""
    try:
        return make(*driver)
    except BlazeError:
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise plugins.registry.unusable("blaze.backends", scheme, problem) from error


def _limits(
    config: ConnectionConfig,
    pool_size: Optional[int],
    max_overflow: Optional[int],
    pool_timeout: Optional[float],
    recycle: Optional[float],
) -> Limits:
    """Choose each pool setting: the argument, else the DSN's option, else the default."""
    default = Limits()
    return Limits(
        config.get("pool_size", default.size) if pool_size is None else pool_size,
        config.get("max_overflow", default.max_overflow) if max_overflow is None else max_overflow,
        config.get("pool_timeout", default.timeout) if pool_timeout is None else pool_timeout,
        config.get("recycle", default.recycle) if recycle is None else recycle,
    ).checked()
