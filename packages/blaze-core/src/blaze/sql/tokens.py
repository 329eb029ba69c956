"""SQL text in tokens: words, names, literals and symbols, as a database reads them; comments are left out.

What the databases disagree about (backslashes, `#`, nested comments, ...) is told by the dialect's `Lexis`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from blaze.dialects.features import STANDARD_LEXIS, Lexis
from blaze.errors import SQLSyntaxError
from blaze.security import redact_statement

__all__ = ["Token", "longer_name", "require_single", "split_statements", "tokenize", "tokens"]

WORD, NAME, TEXT, BODY, SYMBOL = "word", "name", "text", "body", "symbol"

# Statements with other statements inside, which end at the END of the outermost block.
_WITH_BODY = frozenset({"TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "PACKAGE"})
# What a word adds to the depth; after END, the name of a loop says that no block of BEGIN has ended.
_NO_BLOCK_AFTER_END = frozenset({"IF", "LOOP", "WHILE", "REPEAT", "FOR"})
_DEPTHS = {"BEGIN": 1, "CASE": 1, "END": -1, **dict.fromkeys(_NO_BLOCK_AFTER_END, 0)}


class Token(NamedTuple):
    """A piece of SQL: a `word`, a quoted `name`, a `text` literal, a dollar-quoted `body`, or a `symbol`."""

    kind: str
    text: str
    start: int

    @property
    def word(self) -> str:
        """Give an unquoted word in capitals, `""` for everything else."""
        return self.text.upper() if self.kind == WORD else ""


_PIECE = re.compile(
    r"""
      (?P<space>[\s\ufeff]+)  # SQLite takes a byte-order mark anywhere for white space
    | (?P<line>--[^\n]*)
    | (?P<hash>\#)
    | (?P<executable>/\*M?!\d*)
    | (?P<comment>/\*)
    | (?P<prefixed>[eE]')
    | (?P<literal>(?:[nNbBxX]|[uU]&)?')
    | (?P<double>(?:[uU]&)?")
    | (?P<tick>`)
    | (?P<bracket>\[)
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<number>\d[\w.]*)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<close>\*/)
    | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN_END = {char: re.compile(f"(?:[^{char}]|{char}{char})*{char}?") for char in "'\"`"}
_BACKSLASH_END = {char: re.compile(rf"(?:[^{char}\\]|\\.|{char}{char})*{char}?", re.DOTALL) for char in "'\""}
_LONG = re.compile(r"[\w$]{32}|\"[^\"]{32}")  # no name of fewer characters is too long anywhere
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def tokenize(sql: str, lexis: Lexis = STANDARD_LEXIS) -> list[Token]:
    """Return the tokens of a text; a quote or comment that never ends goes to the end of the text.

    MySQL executes what stands in comments that begin with `/*!` or `/*M!`: the tokens inside are returned
    like all others.
    """
    return list(tokens(sql, lexis))


def tokens(sql: str, lexis: Lexis) -> Iterator[Token]:
    """Give the tokens of a text one by one; see `tokenize`."""
    position, end, executable = 0, len(sql), 0
    while position < end:
        match = _PIECE.match(sql, position)
        assert match is not None  # the last alternative takes anything
        kind, start = match.lastgroup, position
        position = match.end()
        if kind == "space":
            continue
        if kind == "line":
            if lexis.spaced_dashes and not match[0][2:3].isspace() and match[0] != "--":
                position = start + 1  # two minus signs
                yield Token(SYMBOL, "-", start)
            continue
        if kind == "hash" and lexis.hash_comments:
            newline = sql.find("\n", position)
            position = end if newline < 0 else newline
        elif kind == "executable":
            executable += 1
        elif kind == "close" and executable:
            executable -= 1
        elif kind == "comment":
            position = _comment_end(sql, position, lexis.nested_comments)
        elif kind in ("literal", "prefixed"):
            backslash = lexis.backslash_escapes or kind == "prefixed"
            position = _quote_end(sql, position, "'", backslash)
            yield Token(TEXT, sql[start:position], start)
        elif kind == "double":
            position = _quote_end(sql, position, '"', lexis.backslash_escapes)
            yield Token(NAME, sql[start:position], start)
        elif kind == "tick":
            position = _quote_end(sql, position, "`", False)
            yield Token(NAME, sql[start:position], start)
        elif kind == "bracket" and lexis.bracket_names and sql.find("]", position) >= 0:
            position = sql.index("]", position) + 1
            yield Token(NAME, sql[start:position], start)
        elif kind == "dollar" and lexis.dollar_quotes:
            close = sql.find(match[0], position)
            position = end if close < 0 else close + len(match[0])
            yield Token(BODY, sql[start:position], start)
        elif kind == "word":
            yield Token(WORD, match[0], start)
        else:
            if kind in ("hash", "bracket", "dollar", "close"):  # one character, the next is looked at anew
                position = start + 1
            yield Token(SYMBOL, sql[start:position], start)


def _quote_end(sql: str, position: int, char: str, backslash: bool) -> int:
    found = (_BACKSLASH_END if backslash else _PLAIN_END)[char].match(sql, position)
    return len(sql) if found is None else found.end()


def _comment_end(sql: str, position: int, nested: bool) -> int:
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, position):
        if edge[0] == "*/":
            depth -= 1
            if depth == 0:
                return edge.end()
        elif nested:
            depth += 1
    return len(sql)


@lru_cache(maxsize=512)
def longer_name(sql: str, size: int, lexis: Lexis) -> str:
    """Return the first name of more than `size` bytes, quoted as it stands; `""` without any."""
    if sql.isascii() and not _LONG.search(sql):
        return ""
    for token in tokens(sql, lexis):
        if token.kind == WORD:
            length = len(token.text.encode("utf-8", "surrogatepass"))
        elif token.kind == NAME:
            length = len(token.text[1:-1].replace('""', '"').encode("utf-8", "surrogatepass"))
        else:
            continue
        if length > size:
            return token.text
    return ""


def split_statements(sql: str, lexis: Lexis = STANDARD_LEXIS) -> list[str]:
    """Return the statements of a text without their semicolons; those inside of a trigger's body stay.

    The text of a statement is returned as written, with its comments.
    """
    found: list[str] = []
    inside: list[Token] = []  # what the statement has so far
    start = depth = 0
    for token in tokens(sql, lexis):
        if token.text == ";" and token.kind == SYMBOL and depth == 0:
            if inside:
                found.append(sql[start : token.start].strip())
            start, inside = token.start + 1, []
            continue
        depth += _nesting(token.word, inside)
        inside.append(token)
    if inside:
        found.append(sql[start:].strip())
    return found


@lru_cache(maxsize=512)
def require_single(sql: str, lexis: Lexis) -> None:
    """Raise `SQLSyntaxError` for several statements in one text; semicolons at its end are none."""
    if ";" not in sql:
        return
    inside: list[Token] = []
    depth, ended = 0, False
    for token in tokens(sql, lexis):
        if token.text == ";" and token.kind == SYMBOL and depth == 0:
            ended = True
            continue
        if ended:
            text = redact_statement(sql)
            raise SQLSyntaxError(
                "the text holds several statements; nothing was sent: run each by itself"
                f"\n  statement: {text}",
                statement=text,
            )
        depth += _nesting(token.word, inside)
        inside.append(token)


def _nesting(word: str, before: Sequence[Token]) -> int:
    """Say how much deeper into the blocks of a CREATE TRIGGER, PROCEDURE, ... a word leads."""
    if word not in _DEPTHS or not before or before[0].word != "CREATE":
        return 0
    if not any(token.word in _WITH_BODY for token in before):
        return 0
    previous = before[-1].word
    if word in _NO_BLOCK_AFTER_END:
        return 1 if previous == "END" else 0  # takes back what END has just said
    if word == "CASE" and previous == "END":
        return 0
    return _DEPTHS[word]
