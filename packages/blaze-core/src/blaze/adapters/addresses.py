"""Addresses of databases: one text for each, however it is spelled."""

from __future__ import annotations

from typing import Optional, Union

__all__ = ["address"]

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def address(host: Optional[str], port: Union[int, str, None], database: Optional[str]) -> str:
    """Give the text that all spellings of an address share; `host` may be the path of a socket."""
    name = host or ""
    if not name.startswith("/"):
        name = name.lower().rstrip(".")
    if name in _THIS_MACHINE:
        name = _THIS_MACHINE[0]
    return f"{name}:{port or ''}/{database or ''}"
