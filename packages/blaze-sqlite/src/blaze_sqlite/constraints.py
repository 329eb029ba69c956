"""Names in SQL: SQLite tells the columns of a violated unique constraint, but not its name."""

from __future__ import annotations

import re
import sqlite3
from typing import Any, Optional

from blaze.dialects.features import Lexis

__all__ = ["LEXIS", "plain_name", "unique_name"]

LEXIS = Lexis(bracket_names=True, named_marks=True)  # how SQLite reads SQL

_NAME = r'"(?:[^"]|"")+"|\[[^\]]+\]|`[^`]+`|\w+'
_UNIQUE = re.compile(
    rf"(?:CONSTRAINT\s+(?P<constraint>{_NAME})\s+(?:UNIQUE|PRIMARY\s+KEY)"
    rf"|UNIQUE\s+INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<index>{_NAME})\s+ON\s+(?:{_NAME}))\s*\((?P<columns>[^()]*)\)",
    re.IGNORECASE,
)


def unique_name(raw: Any, detail: str) -> Optional[str]:
    """Find the name of the constraint in ``UNIQUE constraint failed: book.title, book.author_id``.

    ``raw`` is the driver's connection. Gives None for a constraint without a name, or when the schema cannot
    be read.
    """
    names = detail.partition("constraint failed: ")[2].split(", ")
    table = names[0].rpartition(".")[0]
    columns = [name.rpartition(".")[2] for name in names]
    try:
        texts = raw.execute("SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL", (table,))
        for (text,) in texts.fetchall():
            for found in _UNIQUE.finditer(text):
                if [plain_name(name) for name in found["columns"].split(",")] == columns:
                    return plain_name(found["constraint"] or found["index"])
    except sqlite3.Error:
        return None  # the error that is being reported matters more than its name
    return None


def plain_name(name: str) -> str:
    """Return a name without its quotes."""
    name = name.strip()
    return name[1:-1].replace('""', '"') if name[:1] in ('"', "[", "`") else name
