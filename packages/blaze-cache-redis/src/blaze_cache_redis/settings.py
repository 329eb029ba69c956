"""Where Redis is and how long it may take; the password is kept where nothing shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.credentials import CredentialProvider
from redis.exceptions import RedisError
from redis.retry import Retry

from blaze.errors import ConfigurationError
from blaze.security import Secret, redact_dsn

__all__ = ["AWAITED_KINDS", "MOST_IDLE", "Settings", "options_of"]

# Connections that a cache keeps open when nobody uses them.
MOST_IDLE = 32

# Options of URLs that a cache takes, beside those that begin with `ssl_`: others belong to the pool and the
# decoding of redis-py, which are not used here.
_TAKEN = frozenset(
    {
        "client_name",
        "db",
        "health_check_interval",
        "host",
        "password",
        "path",
        "port",
        "socket_keepalive",
        "socket_read_size",
        "username",
    }
)


_KINDS: dict[str, Callable[..., Any]] = {
    "tcp": redis.Connection,
    "tls": redis.SSLConnection,
    "unix": redis.UnixDomainSocketConnection,
}
AWAITED_KINDS: dict[str, Callable[..., Any]] = {
    "tcp": redis.asyncio.Connection,
    "tls": redis.asyncio.SSLConnection,
    "unix": redis.asyncio.UnixDomainSocketConnection,
}

Limits = tuple[str, Optional[float], float]


def options_of(url: str, namespace: str, ttl: Optional[float], timeout: float) -> tuple[str, Limits]:
    """Take `namespace`, `ttl` and `timeout` out of a URL, where they stand for the arguments of a cache."""
    if not isinstance(url, str) or "?" not in url:
        return url, (namespace, ttl, timeout)
    place, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    own = {name: value for name, value in pairs if name in ("namespace", "ttl", "timeout")}
    rest = urlencode([(name, value) for name, value in pairs if name not in own])
    seconds = {"ttl": ttl, "timeout": timeout}
    for name in seconds.keys() & own.keys():
        try:
            seconds[name] = float(own[name])
        except ValueError:
            raise ConfigurationError(
                f"{redact_dsn(url)!r}: {name} is a number of seconds, not {own[name]!r}"
            ) from None
    limit = seconds["timeout"]
    assert limit is not None
    return f"{place}?{rest}" if rest else place, (own.get("namespace", namespace), seconds["ttl"], limit)


class Settings:
    """A URL of Redis in parts, and the limits in seconds.

    Raises `ConfigurationError` for what cannot be right, without asking the server.
    """

    def __init__(self, url: str, namespace: str, ttl: Optional[float], timeout: float) -> None:
        if not isinstance(url, str):
            raise ConfigurationError(
                f"a RedisCache is given a URL such as redis://localhost, not {type(url).__name__}"
            )
        if not isinstance(namespace, str) or not namespace or set("{}") & set(namespace):
            raise ConfigurationError(f"a namespace is a text without braces, not {namespace!r}")
        if ttl is not None and not ttl > 0:
            raise ConfigurationError(f"ttl is a number of seconds above 0 or None, not {ttl!r}")
        if not timeout > 0:
            raise ConfigurationError(f"timeout is a number of seconds above 0, not {timeout!r}")
        self._shown = redact_dsn(url)
        self.namespace = namespace
        self.ttl = ttl
        self.timeout = timeout
        parse: Callable[[str], Mapping[str, Any]] = parse_url
        options: dict[str, Any] = {}
        problem = ""
        try:
            options.update(parse(url))
        except ValueError as error:
            problem = redact_dsn(str(error))
        if problem:  # raised from here: what it comes from holds the password
            raise ConfigurationError(f"{self._shown!r} is no URL of Redis: {problem}")
        kind = options.pop("connection_class", None)
        self.kind = "tcp" if kind is None else "tls" if kind.__name__.startswith("SSL") else "unix"
        refused = [name for name in options if name not in _TAKEN and not name.startswith("ssl_")]
        if refused:
            raise ConfigurationError(
                f"{self._shown!r} has options that a RedisCache does not take: {refused}"
            )
        number = urlsplit(url).path.strip("/")
        if (self.kind != "unix" and number and not number.isdecimal()) or options.get("db", 0) < 0:
            raise ConfigurationError(f"{self._shown!r}: the database of a Redis is a number from 0 on")
        user, password = options.pop("username", None), options.pop("password", None)
        self._options = options
        self._credentials = _Credentials(user, password) if password is not None else None
        try:  # nothing is opened yet
            self.connection(_KINDS, None)
            self.connection(AWAITED_KINDS, None)
        except (RedisError, TypeError, ValueError) as error:
            problem = redact_dsn(str(error))
        if problem:
            raise ConfigurationError(f"{self._shown!r} has options that cannot be: {problem}")

    def __str__(self) -> str:
        return f"{self._shown} namespace {self.namespace!r}"

    def connection(self, kinds: Mapping[str, Callable[..., Any]], timeout: Optional[float]) -> Any:
        """Return a connection of redis-py that is not open yet; who opens it bounds the time as a whole."""
        connection = kinds[self.kind](
            **self._options,
            credential_provider=self._credentials,
            protocol=2,
            retry=Retry(NoBackoff(), 0),  # those of redis-py make seconds of a time-out of milliseconds
            socket_connect_timeout=timeout,
            socket_timeout=timeout,
        )
        # Not telling the server who we are saves two round trips; one of these counts, by the version.
        connection.driver_info = connection.lib_name = connection.lib_version = None
        return connection


class _Credentials(CredentialProvider):
    """Give user and password to redis-py at the moment when it logs in."""

    def __init__(self, user: Optional[str], password: str) -> None:
        self._user = user
        self._password = Secret(password)

    def get_credentials(self) -> Any:
        password = self._password.reveal()
        return (password,) if self._user is None else (self._user, password)
