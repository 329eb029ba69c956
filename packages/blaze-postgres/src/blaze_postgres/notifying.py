"""NOTIFY: messages to everybody who listens on a channel, sent when the transaction commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from blaze.errors import CapabilityError, ConfigurationError, DataError
from blaze.sql.raw import Raw, sql
from blaze_postgres.dialect import PostgresDialect

if TYPE_CHECKING:
    from blaze import AsyncSession, Session
    from blaze.dialects.dialect import Dialect
    from blaze.engine import Engine

__all__ = ["MOST_BYTES", "PAUSES", "Notification", "anotify", "listen_text", "notify"]

MOST_BYTES = 7_999  # of a payload in UTF-8
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts to connect again; the last one repeats


class Notification(NamedTuple):
    """A message: its channel, its text, and the process of the server that sent it."""

    channel: str
    payload: str
    pid: int


def notify(session: Session, channel: str, payload: str = "") -> None:
    """Send a message in the session's transaction: listeners get it when that commits, and never otherwise.

    Equal messages of one transaction arrive once. Raises `DataError` for a payload of more than 7,999 bytes
    in UTF-8 before anything is sent: send the key of a row instead of its contents.
    """
    statement = _statement(session.dialect, channel, payload)
    session.begin()
    session.execute(statement)


async def anotify(session: AsyncSession, channel: str, payload: str = "") -> None:
    """Send a message in the session's transaction; see `notify`."""
    statement = _statement(session.dialect, channel, payload)
    await session.begin()
    await session.execute(statement)


def _statement(dialect: Dialect, channel: str, payload: str) -> Raw[object]:
    _postgres(dialect).quote(channel)  # refuses what cannot be a name
    size = len(payload.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise DataError(
            f"the payload for {channel!r} has {size} bytes, but a notification holds {MOST_BYTES}: "
            "store it in a table and send its key"
        )
    return sql("SELECT pg_notify({channel}, {payload})", channel=channel, payload=payload)


def _postgres(dialect: Dialect) -> PostgresDialect:
    if not isinstance(dialect, PostgresDialect):
        raise CapabilityError(f"{dialect.name} has no LISTEN and NOTIFY: they are PostgreSQL's")
    return dialect


def listen_text(engine: Engine, dialect: Dialect, channels: tuple[str, ...]) -> str:
    """Give the statement that listens; raise `ConfigurationError` where that cannot work."""
    quoted = [_postgres(dialect).quote(channel) for channel in channels]
    if not quoted:
        raise ConfigurationError("name at least one channel to listen on")
    if engine.config.get("pgbouncer"):
        raise ConfigurationError(
            "a pooler in transaction mode forgets who listens: listen with a DSN that leads past it"
        )
    return "; ".join([f"LISTEN {name}" for name in quoted])
