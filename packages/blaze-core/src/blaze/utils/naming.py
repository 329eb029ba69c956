"""Names: from classes to tables and constraints, and the nearest valid name for an error message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["close_matches", "constraint_name", "join_table_name", "snake_case", "suggest", "table_name"]

# "HTTPServer2Go" -> "HTTP_Server2_Go": an acronym before a word, then a lower-case letter or digit before a
# capital.
_WORD_BOUNDARY = re.compile(r"(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])")
_SHOWN = 8


def snake_case(name: str) -> str:
    """Turn ``CamelCase`` into ``snake_case``; acronyms stay together (``HTTPServer`` -> ``http_server``)."""
    return _WORD_BOUNDARY.sub("_", name).lower()


def table_name(class_name: str) -> str:
    """Give the table name of a model class: its name in snake case, never pluralised."""
    return snake_case(class_name)


def join_table_name(left_table: str, relation: str) -> str:
    """Give the table name of a many-to-many relation declared as ``relation`` on ``left_table``."""
    return f"{left_table}_{snake_case(relation)}"


def constraint_name(kind: str, table: str, parts: Sequence[str] = (), max_bytes: int = 63) -> str:
    """Give a deterministic name such as ``uq_book_title_author_id``.

    A name longer than ``max_bytes`` bytes in UTF-8 is cut and ends in eight hexadecimal digits of its hash,
    so that databases which cut names silently (PostgreSQL at 63 bytes) never see two different ones become
    equal.
    """
    name = "_".join([kind, table, *parts])
    raw = name.encode("utf-8")
    if len(raw) <= max_bytes:
        return name
    from hashlib import sha256

    digest = sha256(raw).hexdigest()[:8]
    return f"{raw[: max_bytes - 9].decode('utf-8', 'ignore')}_{digest}"


def close_matches(name: str, candidates: Iterable[str], likeness: float, count: int = 1) -> list[str]:
    """Return the candidates that are like a name at least so much (0 to 1), the best first."""
    from difflib import get_close_matches  # a millisecond, for messages only

    return get_close_matches(name, list(candidates), count, likeness)


def suggest(name: str, candidates: Iterable[str]) -> str:
    """Give the tail of an error message: ``"; did you mean 'title'?"`` or the valid names; ``""`` when there
    are none.
    """
    valid = sorted(set(candidates))
    if not valid:
        return ""
    lowered = {candidate.lower(): candidate for candidate in valid}
    close = close_matches(name.lower(), list(lowered), 0.6, 3)
    if close:
        return f"; did you mean {' or '.join(repr(lowered[match]) for match in close)}?"
    shown = ", ".join(valid[:_SHOWN])
    return f"; valid names: {shown}{', ...' if len(valid) > _SHOWN else ''}"
