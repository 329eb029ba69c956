"""The PostgreSQL backend of Blaze: psycopg2 for blocking code, asyncpg for asynchronous code."""

from blaze_postgres.adapter import AsyncpgAdapter, PostgresAdapter
from blaze_postgres.dialect import PostgresDialect
from blaze_postgres.ranges import Range

__all__ = ["AsyncpgAdapter", "PostgresAdapter", "PostgresDialect", "Range"]
