"""The entry points ``mysql`` and ``mariadb`` of the group ``blaze.backends``; they import no driver.

Both names mean the same: which of the two a server is, it says itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blaze.adapters.adapter import Backend
from blaze.adapters.options import Option

if TYPE_CHECKING:
    from blaze_mysql.adapter import AsyncmyAdapter, MySQLAdapter

__all__ = ["backend", "mariadb"]


def _pymysql() -> MySQLAdapter:
    from blaze_mysql.adapter import MySQLAdapter

    return MySQLAdapter()


def _asyncmy() -> AsyncmyAdapter:
    from blaze_mysql.adapter import AsyncmyAdapter

    return AsyncmyAdapter()


backend = Backend(
    name="mysql",
    adapter=_pymysql,
    async_adapter=_asyncmy,
    drivers={"pymysql": _pymysql},
    async_drivers={"asyncmy": _asyncmy},
    options={
        "server_version": Option("text", "such as 8.4.0 or 10.11.6-MariaDB: spares asking the server"),
        "unix_socket": Option("text", "path of the socket of a server on this machine"),
    },
)
mariadb = backend._replace(name="mariadb")
