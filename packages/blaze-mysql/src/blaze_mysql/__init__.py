"""The MySQL and MariaDB backend of Blaze: PyMySQL for blocking code, asyncmy for asynchronous code."""

from blaze_mysql.adapter import AsyncmyAdapter, MySQLAdapter
from blaze_mysql.dialect import MySQLDialect

__all__ = ["AsyncmyAdapter", "MySQLAdapter", "MySQLDialect"]
