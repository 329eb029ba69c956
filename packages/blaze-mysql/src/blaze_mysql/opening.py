"""What a MySQL or MariaDB connection is opened with, the same for both drivers."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable
from typing import Any, Optional

from blaze.adapters.adapter import Prepared
from blaze.adapters.addresses import address
from blaze.adapters.config import ConnectionConfig
from blaze.errors import ConfigurationError
from blaze.security.secret import Secret
from blaze_mysql.dialect import MySQLDialect, Server
from blaze_mysql.errors import opening_error

__all__ = [
    "CONNECT_TIMEOUT",
    "arguments",
    "begin_texts",
    "check_tls",
    "client_limit",
    "goes_row_by_row",
    "password",
    "prepare",
    "set_up_text",
]

HOST, PORT = "127.0.0.1", 3306
CONNECT_TIMEOUT = 5.0
STATEMENT_TIMEOUT = 30.0
_TLS_MODES = ("require", "verify-ca", "verify-full")
_MARGIN = 5.0  # the client stops waiting this much later than the server should have stopped a statement
_SNAPSHOTS = ("REPEATABLE READ", "SERIALIZABLE")
# Nothing is cut, rounded or replaced silently, nor a key of 0 by a generated one; `||` joins texts as in
# standard SQL.
_MODE = (
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY,PIPES_AS_CONCAT,NO_AUTO_VALUE_ON_ZERO"
)
FOUND_ROWS = 2  # the client flag that counts the rows an UPDATE met, changed or not


def prepare(
    config: ConnectionConfig, dialect: MySQLDialect, ask: Callable[[ConnectionConfig], Server]
) -> Prepared:
    """Check a configuration; `ask` asks the server what it is when the dialect needs to know it."""
    for name in ("mode", "pgbouncer"):
        if name in config.options:
            raise ConfigurationError(f"the option {name} means nothing to MySQL; leave it out")
    isolation = config.get("isolation_level")
    if isolation is not None and dialect.isolation(isolation) in _SNAPSHOTS:
        dialect.snapshots = True
    version = config.get("server_version")
    dialect.identify = lambda: Server(str(version)) if version else ask(config)
    place = config.get("unix_socket") or config.host or HOST
    return Prepared(config, identity=address(place, config.port or PORT, config.database))


def arguments(config: ConnectionConfig) -> dict[str, Any]:
    """Give the keyword arguments of ``connect`` that both drivers know, without the password."""
    connect = config.get("connect_timeout", CONNECT_TIMEOUT)
    found: dict[str, Any] = {
        "host": config.host or HOST,
        "port": config.port or PORT,
        "unix_socket": config.get("unix_socket"),
        "user": config.user,
        "database": config.database,
        "charset": "utf8mb4",
        "connect_timeout": connect or 31_536_000,
        "program_name": config.get("application_name"),
        "autocommit": True,
        "client_flag": FOUND_ROWS,
        "ssl": tls(config),
    }
    return {name: value for name, value in found.items() if value is not None}


def tls(config: ConnectionConfig) -> Optional[ssl.SSLContext]:
    """Give what TLS is used with; None without `sslmode`, or where it asks for none."""
    mode = config.get("sslmode")
    if mode not in _TLS_MODES:
        return None
    try:
        context = ssl.create_default_context(cafile=config.get("sslrootcert"))
        context.check_hostname = mode == "verify-full"
        if mode == "require":
            context.verify_mode = ssl.CERT_NONE
        if config.get("sslcert"):
            context.load_cert_chain(config.get("sslcert"), config.get("sslkey"))
    except OSError as error:
        raise ConfigurationError(
            f"{config.redacted()} cannot be opened: a certificate or key cannot be read ({error});"
            " check sslrootcert, sslcert and sslkey"
        ) from error
    return context


def check_tls(config: ConnectionConfig, encrypted: bool) -> None:
    """Raise `ConfigurationError` when TLS was asked for and is not used: old drivers do not mind."""
    if not encrypted and not config.get("unix_socket") and config.get("sslmode") in _TLS_MODES:
        raise opening_error(config.redacted(), 2026, "the server offers no TLS")


def password(secret: Optional[Secret]) -> dict[str, Any]:
    """Give the keyword argument of ``connect`` that no frame of ours may hold.

    In UTF-8, as other clients send it: the drivers would encode a text as Latin-1, or fail and show it.
    """
    return {} if secret is None else {"password": secret.reveal().encode("utf-8", "surrogatepass")}


def client_limit(config: ConnectionConfig) -> Optional[float]:
    """Give the seconds after which the client stops waiting for an answer; None for never."""
    limit = config.get("statement_timeout", STATEMENT_TIMEOUT)
    return limit + _MARGIN if limit else None


def set_up_text(config: ConnectionConfig, dialect: MySQLDialect, version: str) -> str:
    """Give the statement that sets a session up, for the server that has greeted us."""
    if not config.get("server_version"):
        dialect.know(version)
    server = Server(version)
    level = dialect.isolation(config.get("isolation_level", "READ COMMITTED")).replace(" ", "-")
    variable = "tx_isolation" if server.mariadb else "transaction_isolation"
    limit = config.get("statement_timeout", STATEMENT_TIMEOUT)
    if server.mariadb:
        timeout = f"max_statement_time = {limit:g}"
    else:
        timeout = f"max_execution_time = {round(limit * 1000)}"
    lock = config.get("lock_timeout")
    waits = f", innodb_lock_wait_timeout = {max(math.ceil(lock), 1)}" if lock else ""
    return f"SET sql_mode = '{_MODE}', time_zone = '+00:00', {variable} = '{level}', {timeout}{waits}"


def begin_texts(dialect: MySQLDialect, isolation: Optional[str], read_only: bool) -> list[str]:
    """Give the statements that begin a transaction."""
    start = "START TRANSACTION READ ONLY" if read_only else "START TRANSACTION"
    if isolation is None:
        return [start]
    return [f"SET TRANSACTION ISOLATION LEVEL {dialect.isolation(isolation)}", start]


def goes_row_by_row(sql: str) -> bool:
    """Say whether many rows need a statement each: what ON DUPLICATE KEY takes from a row, both drivers would
    write just once.
    """
    return "%s" in sql.partition(" ON DUPLICATE KEY ")[2]
