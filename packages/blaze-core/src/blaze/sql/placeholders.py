"""Placeholders in SQL that users write: `?`, `%s`, `%(name)s` and `:name` become the dialect's own.

Nothing is touched inside quotes, comments and dollar quotes, nor are casts (`::`). `$1` is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, compress
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from blaze.errors import QueryError
from blaze.sql.values import encoded
from blaze.utils.naming import suggest
from blaze.utils.parameters import NamedParameters

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect
    from blaze.dialects.features import Lexis

Parameters = Union[Sequence[Any], Mapping[str, Any]]

_TOKEN = r"""
      (?P<skip>
          (?<![A-Za-z0-9_$]) [eE] '(?:[^'\\]|\\.|'')*'            # E'...' with backslashes
        | '(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*`
        | --[^\n]* | /\*.*?\*/
        | (?<![A-Za-z0-9_$]) (?P<tag>\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$) .*? (?P=tag)
        | ::
      )
    | (?P<mark>\?)
    | %(?: (?P<format>s)(?![A-Za-z0-9_]) | \((?P<pyname>[^)]+)\)s | (?P<percent>%) )
    | (?<![:A-Za-z0-9_]) : (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    """


@lru_cache(maxsize=32)
def _token_of(lexis: Lexis) -> re.Pattern[str]:
    """Return what finds placeholders in SQL as a database reads it."""
    pattern = _TOKEN
    if lexis.backslash_escapes:
        plain = """'(?:[^']|'')*' | "(?:[^"]|"")*" |"""
        pattern = pattern.replace(plain, r"""'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" |""")
    if lexis.bracket_names:
        pattern = pattern.replace("| ::", r"| :: | \[[^\]]*\]")
    if lexis.hash_comments:
        pattern = pattern.replace("| ::", r"| :: | \#[^\n]*")
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


class _Token(NamedTuple):
    """A place of the text that may be a placeholder; its kind is `?`, `%s`, `%%` or `name`."""

    kind: str
    name: str
    start: int
    end: int


def convert(sql: str, parameters: Parameters, dialect: Dialect) -> tuple[str, tuple[Any, ...]]:
    """Return the text with the dialect's placeholders, and the parameters in their order as columns of their
    types store them.

    A mapping fills `:name` and `%(name)s`, a sequence `?` or `%s`. Without parameters the text is returned
    as it stands. Raise `QueryError` where the number or the names do not agree, or no type holds a value,
    `DataError` for one that cannot be stored.
    """
    lexis = dialect.features.lexis
    if not parameters:
        if dialect.paramstyle == "qmark":
            tokens = _tokens(sql, lexis)
            named = next((token.name for token in tokens if token.kind == "name"), None)
            if named is not None:
                raise QueryError(f"the SQL has no value for :{named}; give a dict of parameters")
            marks = sum(token.kind == "?" for token in tokens)
            if marks:
                raise QueryError(f"the SQL has {marks} placeholders, but no parameters were given")
        return sql, ()
    values: tuple[Any, ...]
    if isinstance(parameters, Mapping):
        names = _names(sql, dialect.paramstyle == "numeric", lexis)
        missing = [name for name in names if name not in parameters]
        if missing:
            raise QueryError(
                f"the SQL has no value for :{missing[0]}{suggest(missing[0], map(str, parameters))}"
            )
        unused = [name for name in parameters if name not in names]
        if unused:
            raise QueryError(
                f"the SQL does not use the parameter {unused[0]!r}{suggest(str(unused[0]), names)}"
            )
        style = "name"
        values = NamedParameters([parameters[name] for name in names], names)
    elif isinstance(parameters, (str, bytes)) or not isinstance(parameters, Sequence):
        raise QueryError(f"parameters are a list, a tuple or a dict, not {type(parameters).__name__}")
    else:
        values = tuple(parameters)
        style = _style(sql, lexis, len(values))
    if lexis.named_marks:
        _refuse_mixed(sql, lexis, style)
    sent = encoded(values, dialect)
    forms = dialect.parameter_forms(values)
    text = _converted(sql, dialect, len(values), isinstance(values, NamedParameters), forms)
    return text, _taken(sent, forms)


@lru_cache(maxsize=512)
def _tokens(sql: str, lexis: Lexis) -> tuple[_Token, ...]:
    found = []
    for token in _token_of(lexis).finditer(sql):
        if token["skip"] is not None:
            continue
        if token["mark"]:
            kind, name = "?", ""
        elif token["format"]:
            kind, name = "%s", ""
        elif token["percent"]:
            kind, name = "%%", ""
        else:
            kind, name = "name", token["name"] or token["pyname"]
        found.append(_Token(kind, name, token.start(), token.end()))
    return tuple(found)


@lru_cache(maxsize=512)
def _names(sql: str, once: bool, lexis: Lexis) -> tuple[str, ...]:
    """Return the names of the parameters in their order; `once` says that one may stand at many places."""
    names = [token.name for token in _tokens(sql, lexis) if token.kind == "name"]
    return tuple(dict.fromkeys(names) if once else names)


@lru_cache(maxsize=512)
def _style(sql: str, lexis: Lexis, given: int) -> str:
    """Return which of `?` and `%s` are the placeholders; raise `QueryError` where neither is."""
    tokens = _tokens(sql, lexis)
    counts = {kind: sum(token.kind == kind for token in tokens) for kind in ("?", "%s")}
    # `?` is also an operator of PostgreSQL and `%s` could be arithmetic: what agrees in number is meant.
    style = next((kind for kind in ("%s", "?") if counts[kind] == given), None)
    if style is not None:
        return style
    names = [token.name for token in tokens if token.kind == "name"]
    if names and not any(counts.values()):
        raise QueryError(f"the SQL names its parameters (:{names[0]}): give a dict instead of a list")
    raise QueryError(
        f"the SQL has {counts['?'] or counts['%s']} placeholders, but {given} parameters were given"
    )


@lru_cache(maxsize=512)
def _refuse_mixed(sql: str, lexis: Lexis, style: str) -> None:
    """Raise `QueryError` for other placeholders than those of a style, which the database would want, too."""
    tokens = [token for token in _tokens(sql, lexis) if token.kind in ("?", style, "name")]
    if any(token.kind != style for token in tokens):
        shown = dict.fromkeys(sql[token.start : token.end] for token in tokens)
        raise QueryError(
            f"the SQL mixes placeholders ({', '.join(shown)}): name all of them and give a dict, or none and "
            "give a list"
        )


@lru_cache(maxsize=512)
def _converted(sql: str, dialect: Dialect, given: int, named: bool, forms: tuple[str, ...]) -> str:
    """Return the text with the dialect's placeholders, each in its form."""
    paramstyle, lexis = dialect.paramstyle, dialect.features.lexis
    tokens = _tokens(sql, lexis)
    style = "name" if named else _style(sql, lexis, given)
    names = _names(sql, paramstyle == "numeric", lexis) if named else ()
    doubled = style == "%s" or any(sql[token.start] == "%" and token.kind == "name" for token in tokens)
    places = list(accumulate([int("{}" in form) for form in forms] or [1] * given))
    parts: list[str] = []
    last = position = 0
    for token in tokens:
        if token.kind == style:
            number = names.index(token.name) if named and paramstyle == "numeric" else position
            position += 1
            form = forms[number] if forms else "{}"
            mark = form.format(dialect.placeholder(places[number]))
        elif token.kind == "%%" and doubled:
            mark = _plain("%", paramstyle)
        else:
            continue
        parts += (_plain(sql[last : token.start], paramstyle), mark)
        last = token.end
    parts.append(_plain(sql[last:], paramstyle))
    return "".join(parts)


def _taken(values: tuple[Any, ...], forms: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the parameters whose forms take one."""
    taken = ["{}" in form for form in forms]
    if all(taken):
        return values
    kept = tuple(compress(values, taken))
    return (
        NamedParameters(kept, compress(values.names, taken)) if isinstance(values, NamedParameters) else kept
    )


def _plain(text: str, paramstyle: str) -> str:
    return text.replace("%", "%%") if paramstyle == "format" else text
