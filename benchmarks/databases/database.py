"""What every database of a contender can do, whatever its backend."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Optional
from urllib.parse import quote, unquote, urlsplit

from benchmarks.data import ITEM_COLUMNS


@dataclass(frozen=True)
class Server:
    """The parts of a server's DSN."""

    host: str
    port: int
    user: str
    password: str

    @classmethod
    def parse(cls, dsn: str, port: int) -> Server:
        """Read `scheme://user:password@host:port/...`."""
        parts = urlsplit(dsn)
        return cls(
            parts.hostname or "127.0.0.1",
            parts.port or port,
            unquote(parts.username or "root"),
            unquote(parts.password or ""),
        )


class Database:
    """One database, for one contender: its address, and plain reads and repairs of its tables."""

    backend = ""

    def __init__(self, name: str, server: Optional[Server] = None) -> None:
        self.name = name
        self.server = server

    def at(self) -> Server:
        """Return the server; a file has none."""
        if self.server is None:
            raise TypeError(f"{self.backend} has no server")
        return self.server

    def url(self, scheme: str) -> str:
        """Return the address as a URL of this scheme."""
        server = self.at()
        user = quote(server.user, safe="") + (
            f":{quote(server.password, safe='')}" if server.password else ""
        )
        return f"{scheme}://{user}@{server.host}:{server.port}/{self.name}"

    def rows(self, sql: str, params: Any = ()) -> list[Any]:
        """Run a statement on a connection of its own and return its rows."""
        raise NotImplementedError

    def snapshot(self) -> None:
        """Keep the rows of `item` for `restore`, and bring the statistics of all tables up to date."""
        raise NotImplementedError

    def restore(self) -> None:
        """Give `item` the rows it had at `snapshot`."""
        raise NotImplementedError

    def stored_items(self) -> list[tuple[Any, ...]]:
        """Return the rows of `item` in id order, each storage format turned back into Python values."""
        rows = self.rows(
            f"SELECT {', '.join(self.quote(name) for name in ITEM_COLUMNS)} FROM item ORDER BY id"
        )
        return [
            (*row[:5], bool(row[5]), moment(row[6]), Decimal(str(row[7])), row[8], document(row[9]))
            for row in rows
        ]

    def quote(self, name: str) -> str:
        """Quote a column's name."""
        return f'"{name}"'

    def query_keys(self, sql: str, params: Any) -> list[Any]:
        """Run a query that a contender built and return its first column."""
        return [row[0] for row in self.rows(sql, params)]


def moment(value: Any) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, (str, bytes)) else value


def fresh_name(contender: str) -> str:
    """Return a name that no other run uses."""
    return f"blaze_bench_{contender}_{uuid.uuid4().hex[:8]}"
