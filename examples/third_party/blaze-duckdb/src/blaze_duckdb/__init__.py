"""The DuckDB backend of Blaze: `Engine("duckdb:///app.duckdb")`, or `duckdb://` for a database in memory."""

from blaze_duckdb.adapter import AsyncDuckDBAdapter, DuckDBAdapter
from blaze_duckdb.dialect import DuckDBDialect

__all__ = ["AsyncDuckDBAdapter", "DuckDBAdapter", "DuckDBDialect"]
