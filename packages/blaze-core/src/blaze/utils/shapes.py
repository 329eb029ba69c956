"""The shape of a statement: its text without the values that somebody wrote into it."""

from __future__ import annotations

import re

__all__ = ["statement_shape"]

# Quoted identifiers and comments stay. A number is a literal unless it belongs to a name or to a placeholder
# such as `t0`, `$1`, `?1` or `:1`. A text without its closing quote reaches to the end.
_LITERAL = re.compile(
    r"(?P<keep>\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|--[^\n]*|/\*.*?\*/)"
    r"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"
    r"|(?:\b[EeNnBbXx])?'(?:[^']|'')*'?"
    r"|(?<![\w$?:.@])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b",
    re.DOTALL,
)


def statement_shape(sql: str, limit: int = 2000) -> str:
    """Replace texts and numbers in a statement by ``?`` and cut it at `limit` characters."""
    text = _LITERAL.sub(lambda match: match["keep"] or "?", sql)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
