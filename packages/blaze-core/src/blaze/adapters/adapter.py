"""What opens connections, and what a backend's entry point gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Optional, Protocol

from blaze.adapters.config import ConnectionConfig
from blaze.adapters.connection import AsyncConnection, Connection
from blaze.adapters.options import Option
from blaze.dialects.dialect import Dialect
from blaze.errors import ConfigurationError
from blaze.utils.naming import suggest

__all__ = ["PROTOCOL_VERSION", "Adapter", "AsyncAdapter", "Backend", "Keeper", "Prepared"]

PROTOCOL_VERSION = 1
_NONE: Mapping[str, Any] = MappingProxyType({})


class Keeper(Protocol):
    """What must stay open while an engine lives, such as the last connection to an in-memory database."""

    def close(self) -> None:
        """Let go."""
        ...


class Prepared(NamedTuple):
    """What one engine connects with: the final configuration, and what to keep open meanwhile.

    `identity` is a text that all engines on this database share and no other has, where host, port and
    database name do not make one.
    """

    config: ConnectionConfig
    keeper: Optional[Keeper] = None
    identity: str = ""


class Adapter(Protocol):
    """Open blocking connections through one driver; holds no state of any connection and knows no models."""

    @property
    def name(self) -> str:
        """Give the scheme of its DSNs."""
        ...

    @property
    def driver(self) -> str:
        """Give the name of the driver."""
        ...

    @property
    def dialect(self) -> Dialect:
        """Give the dialect as seen through this driver; always the same object."""
        ...

    def prepare(self, config: ConnectionConfig) -> Prepared:
        """Check the configuration once per engine and make it final; the engine's async side uses the result
        too.
        """
        ...

    def connect(self, config: ConnectionConfig) -> Connection:
        """Open one connection, or raise ConnectionLostError, TimeoutError or ConfigurationError with the
        cure.
        """
        ...


class AsyncAdapter(Protocol):
    """Open connections for an event loop through one driver; otherwise like ``Adapter``."""

    @property
    def name(self) -> str:
        """Give the scheme of its DSNs."""
        ...

    @property
    def driver(self) -> str:
        """Give the name of the driver."""
        ...

    @property
    def dialect(self) -> Dialect:
        """Give the dialect as seen through this driver; always the same object."""
        ...

    def prepare(self, config: ConnectionConfig) -> Prepared:
        """Check the configuration once per engine and make it final."""
        ...

    async def connect(self, config: ConnectionConfig) -> AsyncConnection:
        """Open one connection, or raise ConnectionLostError, TimeoutError or ConfigurationError with the
        cure.
        """
        ...


class Backend(NamedTuple):
    """What an entry point of the group ``blaze.backends`` resolves to.

    The factories are called once per engine and import their driver then, not before. ``drivers`` and
    ``async_drivers`` name the choices of ``scheme+driver://``; ``options`` are DSN options beyond the common
    ones.
    """

    name: str
    adapter: Callable[[], Adapter]
    async_adapter: Optional[Callable[[], AsyncAdapter]] = None
    drivers: Mapping[str, Callable[[], Adapter]] = _NONE
    async_drivers: Mapping[str, Callable[[], AsyncAdapter]] = _NONE
    options: Mapping[str, Option] = _NONE
    protocol_version: int = PROTOCOL_VERSION

    def make_adapter(self, driver: Optional[str] = None) -> Adapter:
        """Make the blocking adapter; a driver that is only asynchronous leaves the default one in place."""
        self._check(driver)
        make = self.drivers.get(driver, self.adapter) if driver else self.adapter
        return make()

    def make_async_adapter(self, driver: Optional[str] = None) -> AsyncAdapter:
        """Make the asynchronous adapter; a driver that is only blocking leaves the default one in place."""
        self._check(driver)
        make = self.async_drivers.get(driver) if driver else None
        if make is None:
            make = self.async_adapter
        if make is None:
            raise ConfigurationError(f"the backend {self.name} has no asynchronous driver")
        return make()

    def _check(self, driver: Optional[str]) -> None:
        if driver and driver not in self.drivers and driver not in self.async_drivers:
            known = [*self.drivers, *self.async_drivers]
            raise ConfigurationError(
                f"the backend {self.name} has no driver {driver!r}{suggest(driver, known)}"
            )
