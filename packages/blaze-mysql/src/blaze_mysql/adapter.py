"""The two adapters of MySQL and MariaDB: through PyMySQL and through asyncmy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blaze.adapters.adapter import Prepared
from blaze.adapters.config import ConnectionConfig
from blaze.adapters.drivers import importing
from blaze_mysql.dialect import MySQLDialect, Server
from blaze_mysql.opening import prepare

if TYPE_CHECKING:
    from blaze_mysql.aio import AsyncmyConnection
    from blaze_mysql.connection import PyMySQLConnection

__all__ = ["AsyncmyAdapter", "MySQLAdapter"]


def _ask(config: ConnectionConfig) -> Server:
    with importing("pymysql", "pip install blaze-mysql"):
        from blaze_mysql import connection
    return connection.ask(config)


class MySQLAdapter:
    """Open MySQL and MariaDB databases through PyMySQL."""

    name = "mysql"
    driver = "pymysql"

    def __init__(self) -> None:
        self.dialect = MySQLDialect(driver="pymysql")

    def prepare(self, config: ConnectionConfig) -> Prepared:
        return prepare(config, self.dialect, _ask)

    def connect(self, config: ConnectionConfig) -> PyMySQLConnection:
        with importing("pymysql", "pip install blaze-mysql"):
            from blaze_mysql import connection
        return connection.connect(config, self.dialect)


class AsyncmyAdapter:
    """Open MySQL and MariaDB databases through asyncmy."""

    name = "mysql"
    driver = "asyncmy"

    def __init__(self) -> None:
        self.dialect = MySQLDialect(driver="asyncmy")

    def prepare(self, config: ConnectionConfig) -> Prepared:
        return prepare(config, self.dialect, _ask)

    async def connect(self, config: ConnectionConfig) -> AsyncmyConnection:
        with importing("asyncmy", "pip install 'blaze-mysql[async]'"):
            from blaze_mysql import aio
        return await aio.connect(config, self.dialect)
