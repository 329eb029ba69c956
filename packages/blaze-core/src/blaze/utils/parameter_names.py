"""Which column each parameter of a statement belongs to, read from its text.

Only who logs a value asks for this, so statements carry nothing for it. Where the text leaves a doubt the
answer is None, and such values are not shown.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Optional

__all__ = ["parameter_names"]

_TOKEN = re.compile(
    r"(?P<skip>\s+|--[^\n]*|/\*.*?\*/|::\s*[\w\[\]]+)"
    r"|(?P<string>(?:\b[EeNnBbXx])?'(?:[^']|'')*'?|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
    r"|(?P<name>\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`)"
    r"|(?P<place>\((?:%s|\$(?P<typed>\d+))::\w+(?:\[\])?\)"
    r"|\?(?P<number>\d*)|\$(?P<dollar>\d+)|%s|:(?=[A-Za-z_])\w+)"
    r"|(?P<word>[A-Za-z_][\w$]*)"
    r"|(?P<literal>\d[\w.]*)"
    r"|(?P<mark><=|>=|<>|!=|==|\|\||->>|->|.)",
    re.DOTALL,
)
_COMPARING = frozenset({"=", "==", "<>", "!=", "<", ">", "<=", ">=", "LIKE", "ILIKE", "GLOB", "IS", "REGEXP"})
# What may stand before a compared column, and after a compared value: nothing that calculates with it.
_BEFORE = frozenset(
    {"(", ",", "AND", "OR", "NOT", "WHERE", "ON", "SET", "WHEN", "HAVING", "BY", "SELECT", ""}
)
_AFTER = frozenset(
    {
        ")",
        ",",
        ";",
        "AND",
        "OR",
        "WHERE",
        "ORDER",
        "GROUP",
        "HAVING",
        "LIMIT",
        "OFFSET",
        "RETURNING",
        "ESCAPE",
    }
    | {"THEN", "ON", "UNION", "INTERSECT", "EXCEPT", "COLLATE", "FROM", "END", "FOR", "WINDOW", "AS", ""}
)
# What no column or table is called without quotes, though a name may follow it.
_RESERVED = frozenset(
    {"ALL", "AND", "ANY", "AS", "ASC", "BETWEEN", "BY", "CASE", "COLLATE", "CROSS"}
    | {"DELETE", "DESC", "DISTINCT", "ELSE", "ESCAPE", "EXCEPT", "EXISTS", "FOR", "FROM", "FULL"}
    | {"GLOB", "GROUP", "HAVING", "ILIKE", "IN", "INNER", "INSERT", "INTERSECT", "INTO", "IS"}
    | {"JOIN", "LATERAL", "LEFT", "LIKE", "LIMIT", "NATURAL", "NOT", "OFFSET", "ON", "ONLY"}
    | {"OR", "ORDER", "OUTER", "OVER", "PARTITION", "RECURSIVE", "REGEXP", "RETURNING", "RIGHT", "RLIKE"}
    | {"SELECT", "SET", "SOME", "TABLE", "THEN", "UNION", "UPDATE", "USING", "VALUES", "WHEN"}
    | {"WHERE", "WINDOW", "WITH"}
)
_NO_FUNCTIONS = frozenset({"IN", "VALUES", "AND", "OR", "NOT", "ANY"})
_COUNTS = {"LIMIT": "limit", "OFFSET": "offset"}


class _Token(NamedTuple):
    kind: str
    text: str  # words in upper case, names without their quotes
    name: str = ""


_END = _Token("end", "")


@lru_cache(maxsize=512)
def parameter_names(sql: str, limit: int = 32) -> tuple[Optional[str], ...]:
    """Return the column of each of the first `limit` parameters, None for one that leaves a doubt."""
    tokens, places = _tokens(sql, limit)
    inserted = _inserted(tokens)
    given = _renamed(tokens)
    found: dict[int, Optional[str]] = {}
    for position, place in places:
        name = inserted.get(position)
        if name is None:
            name = _compared(tokens, position)
            if name is not None and name.lower() in given:
                name = None  # a name that the statement itself gives: of which column, nobody knows
        # A parameter used twice has no single name, unless both agree.
        found[place] = name if found.get(place, name) == name else None
    return tuple([found.get(place) for place in range(min(max(found, default=-1) + 1, limit))])


def _tokens(sql: str, limit: int) -> tuple[list[_Token], list[tuple[int, int]]]:
    """Cut a text after `limit` parameters into tokens; the second list has (token, parameter) positions."""
    tokens: list[_Token] = []
    places: list[tuple[int, int]] = []
    names: dict[str, int] = {}
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup if match.lastgroup not in ("number", "dollar", "typed", "tag") else None
        text = match[0]
        if match["skip"] is not None:
            continue
        if match["place"] is not None:
            if len(places) > limit:
                break
            number = match["number"] or match["dollar"] or match["typed"]
            if number:
                place = int(number) - 1
            else:
                place = names.setdefault(text, len(names)) if text.startswith(":") else len(places)
            places.append((len(tokens), place))
            tokens.append(_Token("place", "?"))
        elif match["name"] is not None:
            tokens.append(_Token("name", "", text[1:-1]))
        elif match["word"] is not None:
            tokens.append(_Token("word", text.upper(), text))
        else:
            tokens.append(_Token(kind or "string", text))
    return tokens, places


def _at(tokens: list[_Token], position: int) -> _Token:
    return tokens[position] if 0 <= position < len(tokens) else _END


def _renamed(tokens: list[_Token]) -> set[str]:
    """Return the names that the statement gives to columns, in lower case: by AS or without it, by
    `WITH x (name, ...)` or `AS x (name, ...)`.
    """
    found = set()
    for position, token in enumerate(tokens):
        if token.text == "AS" and _at(tokens, position - 1).text == ")":
            start = position - 2
            while _at(tokens, start).name and _at(tokens, start - 1).text in (",", "("):
                found.add(tokens[start].name.lower())
                start -= 2
        if not token.name or not _is_alias(tokens, position):
            continue
        found.add(token.name.lower())
        if _at(tokens, position + 1).text == "(":
            end = position + 2
            while _at(tokens, end).name and _at(tokens, end + 1).text in (",", ")"):
                found.add(tokens[end].name.lower())
                end += 2
    return found


def _is_alias(tokens: list[_Token], position: int) -> bool:
    """Whether a name follows AS, or directly a value or a table: as only another name for that can."""
    token, before = tokens[position], _at(tokens, position - 1)
    if before.text == "AS":
        return True
    if token.text in _RESERVED or position == 0:
        return False
    if before.kind == "mark":
        return before.text in (")", "]")
    return before.text not in _RESERVED


def _inserted(tokens: list[_Token]) -> dict[int, str]:
    """Return the columns of the parameters that stand alone in the rows of an INSERT."""
    found: dict[int, str] = {}
    position = 0
    while position < len(tokens):
        if tokens[position].text != "INTO":
            position += 1
            continue
        while position < len(tokens) and tokens[position].text not in ("(", "SELECT", "DEFAULT", "VALUES"):
            position += 1
        columns: list[str] = []
        while position < len(tokens) and tokens[position].text != ")":
            if tokens[position].name:
                columns.append(tokens[position].name)
            position += 1
        position += 1
        if _at(tokens, position).text != "VALUES":
            continue
        depth = column = 0
        while position + 1 < len(tokens):
            position += 1
            text = tokens[position].text
            if text == "(":
                depth += 1
                column = 0 if depth == 1 else column
            elif text == ")":
                depth -= 1
            elif depth == 0 and text != ",":
                break
            elif text == "," and depth == 1:
                column += 1
            elif tokens[position].kind == "place" and depth == 1 and column < len(columns):
                alone = _at(tokens, position - 1).text in "(," and _at(tokens, position + 1).text in (
                    "",
                    ",",
                    ")",
                )
                if alone:
                    found[position] = columns[column]
    return found


def _compared(tokens: list[_Token], position: int) -> Optional[str]:
    """Return the column that a parameter is compared with or assigned to."""
    before = _at(tokens, position - 1).text
    if before in _COUNTS:
        return _COUNTS[before]
    first = last = position
    function = _at(tokens, position - 2)
    alone = before == "(" and _at(tokens, position + 1).text == ")"
    if alone and function.kind == "word" and function.text not in _NO_FUNCTIONS:
        first, last = position - 2, position + 1  # lower(?)
    operator = _at(tokens, first - 1).text
    if operator in _COMPARING or operator == "NOT":
        if _at(tokens, last + 1).text not in _AFTER:
            return None
        return _column_before(tokens, _skip_not(tokens, first - 1))
    if operator == "BETWEEN":
        return _column_before(tokens, _skip_not(tokens, first - 1))
    if (
        operator == "AND"
        and _at(tokens, first - 3).text == "BETWEEN"
        and _at(tokens, last + 1).text in _AFTER
    ):
        return _column_before(tokens, _skip_not(tokens, first - 3))
    if operator in "(,":
        return _listed(tokens, first)
    if _at(tokens, last + 1).text in _COMPARING and operator in _BEFORE:
        return _column_after(tokens, last + 2)
    return None


def _skip_not(tokens: list[_Token], operator: int) -> int:
    """Return the position of the first word of an operator such as NOT LIKE or IS NOT."""
    while _at(tokens, operator - 1).text in ("NOT", "IS"):
        operator -= 1
    return operator


def _column_before(tokens: list[_Token], operator: int) -> Optional[str]:
    """Return the column that ends before an operator; None for more than a column or a function of one."""
    position = operator - 1
    wrapped = _at(tokens, position).text == ")"
    if wrapped:
        position -= 1
    token = _at(tokens, position)
    if not token.name:
        return None
    while _at(tokens, position - 1).text == "." and _at(tokens, position - 2).name:
        position -= 2
    if wrapped:
        if _at(tokens, position - 1).text != "(" or _at(tokens, position - 2).kind != "word":
            return None
        position -= 2
        if tokens[position].text in _BEFORE:
            position += 1
    return token.name if _at(tokens, position - 1).text in _BEFORE else None


def _column_after(tokens: list[_Token], position: int) -> Optional[str]:
    """Return the column that begins here."""
    while _at(tokens, position).name and _at(tokens, position + 1).text == ".":
        position += 2
    name = _at(tokens, position).name
    return name if name and _at(tokens, position + 1).text in _AFTER else None


def _listed(tokens: list[_Token], position: int) -> Optional[str]:
    """Return the column of a parameter in a list or row: `a IN (?, ?)`, `(a, b) IN ((?, ?))`."""
    if _at(tokens, position + 1).text not in (",", ")"):
        return None
    column = 0
    start = position - 1
    while _at(tokens, start).text == "," or _at(tokens, start).kind in ("place", "literal", "string"):
        column += _at(tokens, start).text == ","
        start -= 1
    if _at(tokens, start).text != "(":
        return None
    before = _at(tokens, start - 1).text
    if before == "IN" and _at(tokens, _skip_not(tokens, start - 1) - 1).text != ")":
        return _column_before(tokens, _skip_not(tokens, start - 1))
    if before in _COMPARING or before == "IN":
        return _row_column(tokens, _skip_not(tokens, start - 1), column)
    # One row of several: back over the rows before it.
    place = start - 1
    while _at(tokens, place).text in (",", ")", "(", "VALUES", "ROW") or _at(tokens, place).kind in (
        "place",
        "literal",
        "string",
    ):
        place -= 1
    if _at(tokens, place).text == "IN":
        return _row_column(tokens, _skip_not(tokens, place), column)
    return None


def _row_column(tokens: list[_Token], operator: int, column: int) -> Optional[str]:
    """Return one column of the row `(a, b)` that ends before an operator."""
    position = operator - 1
    if _at(tokens, position).text != ")":
        return None
    columns: list[str] = []
    position -= 1
    while _at(tokens, position).text != "(":
        token = _at(tokens, position)
        if not token.name:
            return None
        columns.append(token.name)
        position -= 1
        while _at(tokens, position).text == "." and _at(tokens, position - 1).name:
            position -= 2
        if _at(tokens, position).text == ",":
            position -= 1
        elif _at(tokens, position).text != "(":
            return None
    columns.reverse()
    return columns[column] if column < len(columns) else None
