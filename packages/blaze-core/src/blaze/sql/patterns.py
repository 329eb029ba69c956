"""Patterns: from the user's texts to those of LIKE and GLOB.

LIKE patterns use `!` as the escape character on every backend, because a backslash in a literal means
different things to different databases. Users write `\\` in their own patterns.
"""

from __future__ import annotations

import re
from typing import Callable

_USER_TOKEN = re.compile(r"\\(.)|(%)|(_)|([^\\%_]+)|(\\)\Z", re.DOTALL)
_LIKE_SPECIAL = re.compile(r"([!%_])")
_GLOB_SPECIAL = re.compile(r"([\[*?])")


def escape_like(text: str) -> str:
    """Make a text mean itself in LIKE ... ESCAPE '!'."""
    return _LIKE_SPECIAL.sub(r"!\1", text)


def escape_glob(text: str) -> str:
    """Make a text mean itself in GLOB."""
    return _GLOB_SPECIAL.sub(r"[\1]", text)


def _translate(pattern: str, many: str, one: str, escape: Callable[[str], str]) -> str:
    parts = []
    for quoted, percent, underscore, plain, lone in _USER_TOKEN.findall(pattern):
        if percent:
            parts.append(many)
        elif underscore:
            parts.append(one)
        else:
            parts.append(escape(quoted or plain or lone))
    return "".join(parts)


def like_to_like(pattern: str) -> str:
    """Translate a user's LIKE pattern to the escape character `!`."""
    return _translate(pattern, "%", "_", escape_like)


def like_to_glob(pattern: str) -> str:
    """Translate a user's LIKE pattern to GLOB."""
    return _translate(pattern, "*", "?", escape_glob)


LIKE: dict[str, Callable[[str], str]] = {
    "like": like_to_like,
    "contains": lambda text: f"%{escape_like(text)}%",
    "startswith": lambda text: f"{escape_like(text)}%",
    "endswith": lambda text: f"%{escape_like(text)}",
}


def prefix_end(prefix: str) -> str:
    """Return the smallest text after every text with this prefix, in the order of code points.

    Returns the empty text when there is none; the caller then needs no upper bound.
    """
    for place in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[place])
        if code < 0x10FFFF:
            # The surrogates between these two are no characters.
            return prefix[:place] + chr(0xE000 if code == 0xD7FF else code + 1)
    return ""
