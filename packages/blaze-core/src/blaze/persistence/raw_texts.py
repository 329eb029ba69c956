"""What a raw SQL text is: one statement, none of the session's own business, reading or writing."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from blaze.errors import SessionError
from blaze.sql.tokens import require_single, tokens

if TYPE_CHECKING:
    from blaze.dialects.features import Lexis

_READING = frozenset({"SELECT", "VALUES", "EXPLAIN", "SHOW", "PRAGMA", "TABLE", "DESCRIBE"})
_TRANSACTION = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"})
_WRITING = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})


class RawText(NamedTuple):
    """What is known of a raw text: whether it may change something."""

    writes: bool


def first_words(sql: str, lexis: Lexis, count: int = 1) -> list[str]:
    """Return the first tokens in capitals, past comments and parentheses; `""` for what is no word."""
    found = (token.word for token in tokens(sql, lexis) if token.text != "(")
    return list(islice(found, count))


@lru_cache(maxsize=512)
def read(sql: str, lexis: Lexis) -> RawText:
    """Return what is known of a raw text.

    Raises `SessionError` for statements that begin or end transactions: those belong to the session. Raises
    `SQLSyntaxError` for several statements: some drivers would run them, and a COMMIT among them.
    """
    require_single(sql, lexis)
    words = first_words(sql, lexis, 2)
    word = words[0] if words else ""
    if word in _TRANSACTION or words == ["PREPARE", "TRANSACTION"]:
        raise SessionError(
            f"{word} is the session's business: use session.transaction(), commit() or rollback()"
        )
    if word == "WITH":
        return RawText(any(token.word in _WRITING for token in tokens(sql, lexis)))
    return RawText(word not in _READING)
