"""The options that a DSN or a ConnectionConfig may carry, with their types and units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Optional

from blaze.errors import ConfigurationError
from blaze.utils.naming import suggest

__all__ = ["COMMON_OPTIONS", "Option", "read_option"]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Option(NamedTuple):
    """One option: what kind of value it takes and what it means.

    ``seconds`` are floats, at least 0, finite; ``count`` is a whole number, at least 0; ``choice`` is one of
    ``choices``.
    """

    kind: Literal["seconds", "count", "flag", "text", "choice"]
    meaning: str
    choices: tuple[str, ...] = ()

    def read(self, name: str, value: Any) -> Any:
        """Turn a text or a Python value into the option's type, or raise ConfigurationError saying what it
        takes.
        """
        if self.kind == "flag":
            return _flag(name, value)
        if self.kind == "seconds":
            return _seconds(name, value)
        if self.kind == "count":
            return _count(name, value)
        text = str(value)
        if self.kind == "choice" and text.lower() not in self.choices:
            raise ConfigurationError(
                f"the option {name} cannot be {text!r}; it is one of: {', '.join(self.choices)}"
            )
        return text.lower() if self.kind == "choice" else text


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ConfigurationError(f"the option {name} is true or false, not {value!r}")


def _seconds(name: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(value, bool) or not math.isfinite(seconds) or seconds < 0:
        raise ConfigurationError(f"the option {name} is a number of seconds such as 2.5, not {value!r}")
    return seconds


def _count(name: str, value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit():
        raise ConfigurationError(f"the option {name} is a whole number such as 10, not {value!r}")
    return int(text)


COMMON_OPTIONS: Mapping[str, Option] = {
    "connect_timeout": Option("seconds", "longest time to open a connection"),
    "statement_timeout": Option("seconds", "longest time of one statement; 0 is no limit"),
    "lock_timeout": Option("seconds", "longest wait for a lock of the database"),
    "pool_timeout": Option("seconds", "longest wait for a free connection of the pool"),
    "pool_size": Option("count", "connections that the pool keeps"),
    "max_overflow": Option("count", "connections beyond pool_size in a rush"),
    "recycle": Option("seconds", "age at which the pool replaces a connection; 0 is never"),
    "isolation_level": Option("text", "isolation of transactions that do not ask for another"),
    "autocommit": Option("flag", "sessions commit right after each add and delete"),
    "cache_name": Option("text", "what caches call the database, whatever its address"),
    "application_name": Option("text", "what the server's activity list shows"),
    "sslmode": Option(
        "choice", "how TLS is used", ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
    ),
    "sslrootcert": Option("text", "file with the certificates of the authorities"),
    "sslcert": Option("text", "file with the client's certificate"),
    "sslkey": Option("text", "file with the client's key"),
    "pgbouncer": Option("flag", "the server stands behind a pooler in transaction mode"),
    "mode": Option("choice", "how a database file is opened", ("ro", "rw", "rwc", "memory")),
}


def read_option(name: str, value: Any, known: Mapping[str, Option], backend: Optional[str] = None) -> Any:
    """Read one option among the ``known`` ones; an unknown name is a ConfigurationError with the nearest
    valid ones.
    """
    option = known.get(name)
    if option is None:
        of = f" of {backend}" if backend else ""
        raise ConfigurationError(f"there is no connection option {name!r}{of}{suggest(name, known)}")
    return option.read(name, value)
