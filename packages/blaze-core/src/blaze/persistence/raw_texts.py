"""What a raw SQL text is: one statement, none of the session's own business, reading or writing."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from blaze.errors import SessionError
from blaze.sql.tokens import require_single, tokenize, tokens

if TYPE_CHECKING:
    from blaze.dialects.features import Lasting, Lexis

_READING = frozenset({"SELECT", "VALUES", "EXPLAIN", "SHOW", "PRAGMA", "TABLE", "DESCRIBE"})
_TRANSACTION = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"})
_WRITING = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})


_OF_TRANSACTION = frozenset({"LOCAL", "TRANSACTION", "CONSTRAINTS"})  # SET ... for the transaction only
_TEMPORARY = frozenset({"TEMP", "TEMPORARY"})
_KINDS = frozenset({"TABLE", "VIEW", "RECURSIVE", "SEQUENCE", "TRIGGER"})
_ASKING = ("_info", "_xinfo", "_list", "_check")  # how a PRAGMA ends that sets nothing by its argument


class RawText(NamedTuple):
    """What is known of a raw text: whether it may change something, and the connection itself for longer."""

    writes: bool
    lasts: bool


def first_words(sql: str, lexis: Lexis, count: int = 1) -> list[str]:
    """Return the first tokens in capitals, past comments and parentheses; `""` for what is no word."""
    found = (token.word for token in tokens(sql, lexis) if token.text != "(")
    return list(islice(found, count))


@lru_cache(maxsize=512)
def read(sql: str, lexis: Lexis, lasting: Lasting) -> RawText:
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
    lasts = _lasts(sql, word, lexis, lasting)
    if word == "WITH":
        return RawText(any(token.word in _WRITING for token in tokens(sql, lexis)), lasts)
    return RawText(word not in _READING, lasts)


def _lasts(sql: str, first: str, lexis: Lexis, lasting: Lasting) -> bool:
    """Whether something stays on the connection when the transaction ends."""
    text = sql.upper()
    if first not in lasting.words and "TEMP" not in text and not any(name in text for name in lasting.calls):
        return False
    found = tokenize(sql, lexis)
    words = [token.word for token in found]
    if first == "SET":
        return _OF_TRANSACTION.isdisjoint(words[1:2])
    if first == "PRAGMA":
        given = any(token.text in ("=", "(") for token in found)
        return given and not any(token.text.lower().endswith(_ASKING) for token in found)
    if first in lasting.words:
        return True
    pairs = list(zip(words, words[1:]))
    if any((a in _TEMPORARY and b in _KINDS) or (a == "INTO" and b in _TEMPORARY) for a, b in pairs):
        return ("COMMIT", "DROP") not in pairs
    called = lasting.calls.intersection(words)
    return bool(called) and not (called == {"SET_CONFIG"} and "TRUE" in words)  # of the transaction only
