"""The two adapters of PostgreSQL: through psycopg2 and through asyncpg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blaze.adapters.adapter import Prepared
from blaze.adapters.config import ConnectionConfig
from blaze.adapters.drivers import importing
from blaze_postgres.dialect import PostgresDialect
from blaze_postgres.opening import prepare

if TYPE_CHECKING:
    from blaze_postgres.aio import AsyncpgConnection
    from blaze_postgres.connection import PsycopgConnection

__all__ = ["AsyncpgAdapter", "PostgresAdapter"]


class PostgresAdapter:
    """Open PostgreSQL databases through psycopg2."""

    name = "postgresql"
    driver = "psycopg2"

    def __init__(self) -> None:
        self.dialect = PostgresDialect(driver="psycopg2")

    def prepare(self, config: ConnectionConfig) -> Prepared:
        return prepare(config, self.dialect)

    def connect(self, config: ConnectionConfig) -> PsycopgConnection:
        with importing("psycopg2", "pip install blaze-postgres"):
            from blaze_postgres import connection
        return connection.connect(config, self.dialect)


class AsyncpgAdapter:
    """Open PostgreSQL databases through asyncpg."""

    name = "postgresql"
    driver = "asyncpg"

    def __init__(self) -> None:
        self.dialect = PostgresDialect(driver="asyncpg")

    def prepare(self, config: ConnectionConfig) -> Prepared:
        return prepare(config, self.dialect)

    async def connect(self, config: ConnectionConfig) -> AsyncpgConnection:
        with importing("asyncpg", "pip install 'blaze-postgres[async]'"):
            from blaze_postgres import aio
        return await aio.connect(config, self.dialect)
