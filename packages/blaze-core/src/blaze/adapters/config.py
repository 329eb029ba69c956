"""What a connection is opened with, and its DSN form."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Optional, Union

from blaze import plugins
from blaze.adapters.options import COMMON_OPTIONS, Option, read_option
from blaze.errors import ConfigurationError
from blaze.security.secret import Secret
from blaze.utils.value import Value

__all__ = ["ConnectionConfig"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9_]*)(?:\+(?P<driver>[A-Za-z0-9_]+))?://")
_FIELDS_IN_QUERY = ("host", "port", "user", "password")
_ENCODE = (
    "special characters in a user, password or database name must be percent-encoded (urllib.parse.quote)"
)

_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class _Parts(NamedTuple):
    """The pieces of a DSN; ``problem`` says what is wrong, without quoting anything that may be secret."""

    fields: dict[str, Any]
    options: dict[str, str]
    problem: str = ""


class ConnectionConfig(Value):
    """Say where a database is and how to connect; immutable, and never shows its password.

    ``options`` are typed and checked here (see ``blaze.adapters.options``; times in seconds). A pickle of it
    carries no password. ``database`` is a path for file databases, None for the default or an in-memory one.
    """

    scheme: str
    driver: Optional[str]
    host: Optional[str]
    port: Optional[int]
    user: Optional[str]
    password: Optional[Secret]
    database: Optional[str]
    options: Mapping[str, Any]

    _fields = ("scheme", "driver", "host", "port", "user", "password", "database", "options")

    def __init__(
        self,
        scheme: str,
        driver: Optional[str] = None,
        host: Optional[str] = None,
        port: Optional[int] = None,
        user: Optional[str] = None,
        password: Optional[Union[Secret, str]] = None,
        database: Optional[str] = None,
        options: Mapping[str, Any] = _NO_OPTIONS,
    ) -> None:
        # Wrapped before anything can fail, so that no traceback shows it.
        password = Secret(password) if isinstance(password, str) else password
        named = _NAME.fullmatch(scheme) is not None
        scheme = scheme if named else "***"  # it may hold a password
        self._set(
            scheme=scheme,
            driver=driver,
            host=host,
            port=port,
            user=user,
            password=password,
            database=database,
            options=options,
        )
        if not named:
            raise ConfigurationError(
                "the scheme is the name of a backend, such as postgresql: a DSN is read by "
                "ConnectionConfig.from_dsn(dsn)"
            )
        if port is not None and not 0 < port < 65536:
            raise ConfigurationError(f"the port {port} is not between 1 and 65535")
        known = _known_options(scheme, options)
        typed = {name: read_option(name, value, known, scheme) for name, value in options.items()}
        self._set(options=MappingProxyType(typed))

    @classmethod
    def from_dsn(cls, dsn: Union[str, Secret]) -> ConnectionConfig:
        """Read ``scheme[+driver]://[user[:password]@][host][:port][/database][?option=value&...]``.

        User, password and database are percent-decoded. ``sqlite:///rel.db`` is a relative path, four slashes
        make it absolute, none of it means in memory.
        """
        # From here on no frame holds the text itself: tracebacks that show locals must not show the password.
        dsn = dsn if isinstance(dsn, Secret) else Secret(dsn)
        parts = _split(dsn)
        if parts.problem:
            raise ConfigurationError(f"the DSN cannot be read: {parts.problem}")
        return cls(options=parts.options, **parts.fields)

    @classmethod
    def from_env(
        cls, prefix: str = "BLAZE_", environ: Optional[Mapping[str, str]] = None
    ) -> ConnectionConfig:
        """Read ``<prefix>DSN`` or ``DATABASE_URL``, or else ``<prefix>SCHEME``, ``_DRIVER``, ``_HOST``,
        ``_PORT``, ``_USER``, ``_PASSWORD``, ``_DATABASE`` and any option by its name, such as
        ``<prefix>LOCK_TIMEOUT``.
        """
        env = os.environ if environ is None else environ
        for name in (f"{prefix}DSN", f"{prefix}DATABASE_URL", "DATABASE_URL"):
            if env.get(name):
                return cls.from_dsn(Secret(env[name]))
        scheme = env.get(f"{prefix}SCHEME")
        if not scheme:
            raise ConfigurationError(
                f"no database is configured: set {prefix}DSN, DATABASE_URL or {prefix}SCHEME"
            )
        port = env.get(f"{prefix}PORT")
        if port is not None and not port.isdigit():
            raise ConfigurationError(f"{prefix}PORT is not a number")
        password = env.get(f"{prefix}PASSWORD")
        return cls(
            scheme=scheme,
            driver=env.get(f"{prefix}DRIVER"),
            host=env.get(f"{prefix}HOST"),
            port=int(port) if port else None,
            user=env.get(f"{prefix}USER"),
            password=Secret(password) if password is not None else None,
            database=env.get(f"{prefix}DATABASE"),
            options={
                name: env[prefix + name.upper()] for name in COMMON_OPTIONS if prefix + name.upper() in env
            },
        )

    @property
    def secret(self) -> Optional[Secret]:
        """Give the password, still wrapped."""
        return self.password

    def get(self, name: str, default: Any = None) -> Any:
        """Give the value of an option, or the default when it was not set."""
        return self.options.get(name, default)

    def replace(self, **fields: Any) -> ConnectionConfig:
        """Give a copy with these fields changed, checked like a new configuration."""
        return type(self)(**{**dict(zip(self._fields, self._values)), **fields})

    def with_options(self, **options: Any) -> ConnectionConfig:
        """Give a copy with these options set."""
        return self.replace(options={**self.options, **options})

    def redacted(self) -> str:
        """Give the DSN with ``***`` in place of the password."""
        from urllib.parse import quote

        driver = f"+{self.driver}" if self.driver else ""
        user = quote(self.user, safe="") if self.user else ""
        password = ":***" if self.password else ""
        at = "@" if user or password else ""
        port = f":{self.port}" if self.port else ""
        database = f"/{quote(self.database, safe='/:')}" if self.database else ""
        query = "&".join(f"{name}={quote(_text(value), safe='/')}" for name, value in self.options.items())
        host = _host_text(self.host or "")
        text = f"{self.scheme}{driver}://{user}{password}{at}{host}{port}{database}"
        return f"{text}?{query}" if query else text

    def __str__(self) -> str:
        return self.redacted()

    def __repr__(self) -> str:
        return f"ConnectionConfig({self.redacted()!r})"

    def __hash__(self) -> int:
        return hash(self._values[:-1])  # options is a mapping

    def __reduce__(self) -> tuple[Any, ...]:
        values = (self.scheme, self.driver, self.host, self.port, self.user, self.password, self.database)
        return ConnectionConfig, (*values, dict(self.options))


def _host_text(host: str) -> str:
    """Write a host as `_host_and_port` reads it."""
    from urllib.parse import quote

    if "," in host:
        return host
    text = quote(host, safe=":")
    return f"[{text}]" if ":" in text else text


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known_options(scheme: str, given: Mapping[str, Any]) -> Mapping[str, Option]:
    """Give the common options, and the backend's own ones when they are needed to know the given names."""
    if all(name in COMMON_OPTIONS for name in given):
        return COMMON_OPTIONS
    backend = plugins.backend(scheme, missing_ok=True)
    return COMMON_OPTIONS if backend is None else {**COMMON_OPTIONS, **backend.options}


def _split(secret: Secret) -> _Parts:
    """Take a DSN apart; report problems instead of raising, so that no traceback shows this frame."""
    from urllib.parse import parse_qsl, unquote

    dsn = secret.reveal()
    match = _SCHEME.match(dsn)
    if match is None:
        return _Parts({}, {}, "it does not start with a scheme such as postgresql:// or sqlite:///")
    if "\0" in unquote(dsn):
        return _Parts({}, {}, "it holds a NUL character")
    rest, _, query = dsn[match.end() :].partition("?")
    # A password may hold an "@" by mistake, never a path: the last "@" before the first "/" ends the user
    # part.
    authority, slash, path = rest.partition("/")
    if "@" in path and ":" in authority and "@" not in authority:
        return _Parts({}, {}, _ENCODE)
    userinfo, at, hostport = authority.rpartition("@")
    user, colon, password = userinfo.partition(":")
    host, port, problem = _host_and_port(hostport)
    if problem:
        return _Parts({}, {}, problem)
    pairs = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
    fields: dict[str, Any] = {
        "scheme": match["scheme"].lower(),
        "driver": match["driver"],
        "host": host,
        "port": port,
        "user": unquote(user) if at and user else None,
        "password": Secret(unquote(password)) if colon else None,
        "database": unquote(path) if slash and path else None,
    }
    for name in _FIELDS_IN_QUERY:
        if name in pairs:
            value = pairs.pop(name)
            if name == "port" and not value.isdigit():
                return _Parts({}, {}, "the port is not a number")
            fields[name] = int(value) if name == "port" else Secret(value) if name == "password" else value
    return _Parts(fields, pairs)


def _host_and_port(text: str) -> tuple[Optional[str], Optional[int], str]:
    from urllib.parse import unquote

    if not text:
        return None, None, ""
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        if not bracket:
            return None, None, "an IPv6 address must stand between [ and ]"
    elif "," in text:
        return text, None, ""  # several hosts: the driver takes them as they are
    else:
        host, colon, port = text.partition(":")
        tail = colon + port
    if not tail:
        return unquote(host) or None, None, ""
    digits = tail[1:]
    if tail[0] != ":" or not (digits.isascii() and digits.isdigit()):
        return None, None, f"the port is not a number; {_ENCODE}"
    return unquote(host) or None, int(digits), ""
