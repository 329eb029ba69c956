"""The entry point ``duckdb`` of the group ``blaze.backends``; it imports no driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blaze.adapters.adapter import Backend
from blaze.adapters.options import Option

if TYPE_CHECKING:
    from blaze_duckdb.adapter import AsyncDuckDBAdapter, DuckDBAdapter

__all__ = ["backend"]


def _blocking() -> DuckDBAdapter:
    from blaze_duckdb.adapter import DuckDBAdapter

    return DuckDBAdapter()


def _asynchronous() -> AsyncDuckDBAdapter:
    from blaze_duckdb.adapter import AsyncDuckDBAdapter

    return AsyncDuckDBAdapter()


backend = Backend(
    name="duckdb",
    adapter=_blocking,
    async_adapter=_asynchronous,
    options={
        "threads": Option("count", "threads that DuckDB calculates with"),
        "memory_limit": Option("text", "most memory that DuckDB uses, such as 2GB"),
    },
)
