"""The entry points ``postgresql`` and ``postgres`` of the group ``blaze.backends``; they import no driver.

Both names mean the same; hosting services write the short one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blaze.adapters.adapter import Backend
from blaze.adapters.options import Option

if TYPE_CHECKING:
    from blaze_postgres.adapter import AsyncpgAdapter, PostgresAdapter

__all__ = ["backend", "postgres"]


def _psycopg2() -> PostgresAdapter:
    from blaze_postgres.adapter import PostgresAdapter

    return PostgresAdapter()


def _asyncpg() -> AsyncpgAdapter:
    from blaze_postgres.adapter import AsyncpgAdapter

    return AsyncpgAdapter()


backend = Backend(
    name="postgresql",
    adapter=_psycopg2,
    async_adapter=_asyncpg,
    drivers={"psycopg2": _psycopg2},
    async_drivers={"asyncpg": _asyncpg},
    options={"search_path": Option("text", "schemas that names without one are looked for in, with commas")},
)
postgres = backend._replace(name="postgres")
