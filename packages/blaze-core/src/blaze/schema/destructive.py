"""Find what loses data: in SQL text, and between two types of a column.

Destructive are DROP of anything, TRUNCATE, DELETE without a condition, a changed column type, and what hides
its SQL from sight (EXECUTE of a text). UPDATE and REPLACE are not: they write what the migration says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

from blaze.dialects import types as t
from blaze.dialects.features import STANDARD_LEXIS, Lexis
from blaze.sql.tokens import BODY, NAME, SYMBOL, Token, split_statements, tokenize

__all__ = ["destruction", "narrows"]

# Words before the name of the table in ALTER TABLE.
_HEADER = frozenset({"TABLE", "FOREIGN", "ONLINE", "IGNORE", "IF", "EXISTS", "ONLY"})
_OPAQUE = frozenset({"EXECUTE", "PREPARE"})
_AFTER_CONDITION = frozenset({"RETURNING", "ORDER", "LIMIT", "UNION", "SELECT", "INSERT", "UPDATE", "DELETE"})


def destruction(sql: str, lexis: Lexis = STANDARD_LEXIS) -> Optional[str]:
    """Say what a text of one or several statements may lose, or give None when it loses nothing.

    Words inside of literals, quoted names and comments count for nothing, but comments that MySQL executes
    (`/*! ... */`) and the body of a DO block do.
    """
    for statement in split_statements(sql, lexis):
        reason = _statement(tokenize(statement, lexis), lexis)
        if reason is not None:
            return reason
    return None


def _statement(tokens: Sequence[Token], lexis: Lexis) -> Optional[str]:
    words = [token.word for token in tokens]
    while words and words[0] == "" and tokens[0].text == "(":
        tokens, words = tokens[1:], words[1:]
    first = words[0] if words else ""
    if first in ("DROP", "TRUNCATE"):
        return f"{first} loses what it names"
    if first in _OPAQUE:
        return f"{first} runs SQL that cannot be seen"
    if first == "ALTER":
        return _alter(tokens, words)
    if first == "CREATE":
        return "CREATE OR REPLACE TABLE loses the table" if _replaces_table(words) else None
    if first == "DO":
        return _block(tokens, lexis)
    if first == "MERGE" and "DELETE" in words:
        return "MERGE deletes rows"
    return _delete(tokens, words)


def _replaces_table(words: Sequence[str]) -> bool:
    return list(words[1:3]) == ["OR", "REPLACE"] and "TABLE" in words[3:5]


def _block(tokens: Sequence[Token], lexis: Lexis) -> Optional[str]:
    """Look into the body of a DO block, statement by statement and behind words such as BEGIN and THEN."""
    for token in tokens:
        if token.kind != BODY:
            continue
        tag = token.text[: token.text.index("$", 1) + 1]
        inner = tokenize(token.text[len(tag) : -len(tag)], lexis)
        for position, each in enumerate(inner):
            if each.word in ("DROP", "TRUNCATE", "EXECUTE"):
                return f"{each.word} inside of DO"
            if each.word == "ALTER":
                rest = _until_end(inner[position:])
                reason = _alter(rest, [part.word for part in rest])
                if reason is not None:
                    return reason
        return _delete(inner, [each.word for each in inner])
    return "DO runs SQL that cannot be seen"


def _until_end(tokens: Sequence[Token]) -> Sequence[Token]:
    for position, token in enumerate(tokens):
        if token.text == ";" and token.kind == SYMBOL:
            return tokens[:position]
    return tokens


# ALTER


def _alter(tokens: Sequence[Token], words: Sequence[str]) -> Optional[str]:
    """Judge an ALTER by its actions, so that a column may be called `type`."""
    position = 1
    while position < len(words) and words[position] in _HEADER:
        position += 1
    if "TABLE" not in words[1:position]:
        loses = next((word for word in words[2:] if word in ("DROP", "TYPE")), None)
        return None if loses is None else f"ALTER with {loses} may lose data"
    position += 1  # the table's name
    while position + 1 < len(tokens) and tokens[position].text == ".":
        position += 2
    if position < len(tokens) and tokens[position].text == "*":
        position += 1
    for start, stop in _actions(tokens, position):
        reason = _action(tokens[start:stop], words[start:stop])
        if reason is not None:
            return reason
    return None


def _actions(tokens: Sequence[Token], position: int) -> list[tuple[int, int]]:
    """Give the places of the actions of ALTER TABLE, which are separated by commas."""
    found, start, depth = [], position, 0
    for place in range(position, len(tokens)):
        text = tokens[place].text if tokens[place].kind == SYMBOL else ""
        depth += (text == "(") - (text == ")")
        if text == "," and depth == 0:
            found.append((start, place))
            start = place + 1
    return [*found, (start, len(tokens))]


def _action(tokens: Sequence[Token], words: Sequence[str]) -> Optional[str]:
    first = words[0] if words else ""
    if first in ("DROP", "TRUNCATE", "DISCARD"):
        return f"ALTER TABLE ... {first} loses what it names"
    if first in ("MODIFY", "CHANGE", "CONVERT"):
        return f"ALTER TABLE ... {first} may narrow a type"
    if first == "ALTER":
        rest = words[2:] if len(words) > 1 and words[1] == "COLUMN" and len(words) > 3 else words[1:]
        after = rest[1:]  # behind the column's name
        if after[:1] == ["DROP"]:
            return "ALTER COLUMN ... DROP loses what it names"
        if after[:1] == ["TYPE"] or after[:3] == ["SET", "DATA", "TYPE"]:
            return "ALTER COLUMN ... TYPE may narrow a type"
    return None


# DELETE


def _delete(tokens: Sequence[Token], words: Sequence[str]) -> Optional[str]:
    """Look for a DELETE without a condition, at the top or inside of a WITH or an EXPLAIN."""
    for position, word in enumerate(words):
        if (
            word == "DELETE"
            and _is_statement(tokens, words, position)
            and not _has_condition(tokens, words, position)
        ):
            return "DELETE without WHERE loses all rows"
    return None


def _is_statement(tokens: Sequence[Token], words: Sequence[str], position: int) -> bool:
    """Tell the command from ON DELETE, from WHEN MATCHED THEN DELETE and from a column of that name."""
    before = words[position - 1] if position else ""
    if before in ("ON", "BEFORE", "AFTER", "OR"):
        return False
    return position == 0 or "FROM" in words[position + 1 : position + 5]


def _has_condition(tokens: Sequence[Token], words: Sequence[str], position: int) -> bool:
    """Look for a WHERE of the same depth that is more than TRUE or 1 = 1."""
    depth = 0
    for place in range(position + 1, len(tokens)):
        text = tokens[place].text if tokens[place].kind == SYMBOL else ""
        depth += (text == "(") - (text == ")")
        if depth < 0 or (depth == 0 and text == ";"):
            return False
        if depth == 0 and words[place] == "WHERE":
            return _is_condition(tokens[place + 1 :], words[place + 1 :])
    return False


# Words that are no names of columns.
_NO_NAMES = frozenset(
    {
        "AND",
        "OR",
        "NOT",
        "IS",
        "NULL",
        "TRUE",
        "FALSE",
        "LIKE",
        "IN",
        "BETWEEN",
        "CASE",
        "WHEN",
        "THEN",
        "END",
        "EXISTS",
        "SELECT",
        "",
    }
)
# `x IS NULL OR x IS NOT NULL`, in either order, and `x = x`, with the table's name before one or both.
_ALWAYS = re.compile(
    r"(?P<a>\S+) IS NULL OR (?P=a) IS NOT NULL|(?P<b>\S+) IS NOT NULL OR (?P=b) IS NULL"
    r"|(?:\S+ \. )?(?P<c>\S+) (?:=|IS) (?P=c)|(?P<d>\S+) (?:=|IS) \S+ \. (?P=d)"
    r"|(?P<e>\S+ \. \S+) (?:=|IS) (?P=e)"
)


def _is_condition(tokens: Sequence[Token], words: Sequence[str]) -> bool:
    """Say whether a WHERE leaves rows out: each alternative must name something, and not hold always."""
    found: list[str] = []
    alternative: list[str] = []
    names, depth = False, 0
    for token, word in zip(tokens, words):
        symbol = token.text if token.kind == SYMBOL else ""
        depth += (symbol == "(") - (symbol == ")")
        if depth < 0 or symbol == ";" or (depth == 0 and word in _AFTER_CONDITION):
            break
        if symbol and symbol in "()":
            continue
        found.append(word or token.text)
        if word == "OR" and depth == 0:
            if not names or _ALWAYS.fullmatch(" ".join(alternative)):
                return False
            alternative, names = [], False
            continue
        alternative.append(found[-1])
        names = names or token.kind == NAME or (word not in _NO_NAMES and not word[0].isdigit())
    return names and not any(_ALWAYS.fullmatch(" ".join(part)) for part in (found, alternative))


# Types


def narrows(old: t.SQLType, new: t.SQLType) -> bool:
    """Say whether some value of the type `old` may not survive in `new`; what is not known narrows."""
    if isinstance(old, t.Enum) and isinstance(new, t.Enum):
        return not set(old.stored_values) <= set(new.stored_values)
    while isinstance(old, t.Custom):
        old = old.storage
    while isinstance(new, t.Custom):
        new = new.storage
    if old == new or new == t.String():
        return isinstance(old, (t.Binary, t.Array)) and old != new
    if isinstance(new, t.String) and new.length is not None:
        return _longest_text(old) > new.length
    if isinstance(new, t.Numeric):
        return _narrows_number(old, new)
    return not (isinstance(old, t.Boolean) and isinstance(new, t.Integer))


def _longest_text(old: t.SQLType) -> float:
    """Give the length of the longest text that a value of a type becomes."""
    if isinstance(old, t.String) and old.length is not None:
        return old.length
    return {t.Integer: 20, t.Boolean: 5, t.Uuid: 36, t.Date: 10}.get(type(old), float("inf"))


def _narrows_number(old: t.SQLType, new: t.Numeric) -> bool:
    if isinstance(old, t.Integer):
        whole, scale = 19, 0
    elif isinstance(old, t.Numeric) and old.precision is not None:
        scale = old.scale or 0
        whole = old.precision - scale
    else:
        return True
    if new.precision is None:
        return False
    return (new.scale or 0) < scale or new.precision - (new.scale or 0) < whole
