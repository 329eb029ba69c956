"""Statements that are longer than the server takes are not sent: it breaks the connection over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["LONG", "QUESTION", "TOO_LONG", "has_long_values", "is_too_long"]

LONG = 4_000  # characters: no server takes less than four times as many bytes
QUESTION = "SELECT @@max_allowed_packet"  # a session keeps what it began with
TOO_LONG = 1153  # what the server says to it, if the client lives to read that


def has_long_values(row: Sequence[Any]) -> bool:
    """Say whether a statement may be long because of the values of a row."""
    return sum([len(value) for value in row if isinstance(value, (str, bytes))]) > LONG


def is_too_long(text: str, limit: int) -> bool:
    """Say whether the packet of a statement, whose first byte is the command, reaches the server's limit."""
    return len(text) * 4 + 1 >= limit and len(text.encode("utf-8", "surrogatepass")) + 1 >= limit
