"""Compiled statements: the SQL text, and a function from the statement's binds to the driver's parameters."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

from blaze.errors import DataError, QueryError
from blaze.security.redaction import redact_statement

if TYPE_CHECKING:
    from types import CodeType

    from blaze.dialects.dialect import Dialect

Encoder = Optional[Callable[[Any], Any]]
Binds = tuple[Any, ...]
Params = Callable[[Binds], Sequence[Any]]


class Slot(NamedTuple):
    """One placeholder: which bind, its encoder, whether it may be None, whether its list is expanded.

    A list of tuples has their `width`, and an encoder of whole tuples.
    """

    start: int
    encoder: Encoder = None
    optional: bool = False
    expand: bool = False
    width: int = 0


class Rows(NamedTuple):
    """The placeholders of rows of plain values, which lie flat in the binds; one encoder per column."""

    start: int
    rows: int
    encoders: tuple[Encoder, ...]


class Spread(NamedTuple):
    """The placeholders of one bind that is a list of `length` values, or of tuples of `width` values."""

    start: int
    length: int
    encoder: Encoder
    width: int = 0


Piece = Union[str, Slot, Rows, Spread]


class Compiled:
    """SQL for one dialect. `params(binds)` gives the driver's parameters.

    Where lists are expanded, text and parameters depend on the lists' lengths: `dynamic` is True, `sql` is
    the text for empty lists, and `render(binds)` gives both. `render` is right for every statement.
    """

    __slots__ = ("dynamic", "params", "sql")

    def __init__(self, sql: str, params: Params) -> None:
        self.sql = sql
        self.params = params
        self.dynamic = False

    def render(self, binds: Binds) -> tuple[str, Sequence[Any]]:
        """Return the text and the parameters for these binds."""
        return self.sql, self.params(binds)


class Expanding(Compiled):
    """A statement with a list that becomes one placeholder per value; texts are kept by length."""

    __slots__ = ("_dialect", "_given", "_pieces", "_texts", "empty")

    def __init__(self, dialect: Dialect, pieces: Sequence[Piece], given: int, empty: str) -> None:
        self._dialect = dialect
        self._pieces = pieces
        self._given = given
        self.empty = empty
        self._texts: dict[tuple[int, ...], tuple[str, Params]] = {}
        self.sql = self._compile((0,) * sum(isinstance(each, Slot) and each.expand for each in pieces))[0]
        self.params = lambda binds: self.render(binds)[1]
        self.dynamic = True

    def render(self, binds: Binds) -> tuple[str, Sequence[Any]]:
        lists = [piece for piece in self._pieces if isinstance(piece, Slot) and piece.expand]
        padded = list(binds)
        for piece in lists:
            padded[piece.start] = _padded(binds[piece.start])
        lengths = tuple([len(padded[piece.start]) for piece in lists])
        most = self._dialect.features.max_bind_params
        values = sum(length * max(piece.width, 1) for length, piece in zip(lengths, lists))
        if values > most:
            raise QueryError(
                f"the lists of this query have {values} values, but {self._dialect.name} takes {most} "
                "parameters: split the lists, or put the values into a table and use a subquery"
            )
        found = self._texts.get(lengths)
        if found is None:
            if len(self._texts) >= 32:
                self._texts.clear()
            found = self._texts[lengths] = self._compile(lengths)
        return found[0], found[1](tuple(padded))

    def _compile(self, lengths: tuple[int, ...]) -> tuple[str, Params]:
        left = iter(lengths)
        pieces: list[Piece] = []
        for piece in self._pieces:
            if isinstance(piece, Slot) and piece.expand:
                length = next(left)
                spread = Spread(piece.start, length, piece.encoder, piece.width)
                empty = self.empty.replace("NULL", ", ".join(["NULL"] * max(piece.width, 1)))
                pieces.append(spread if length else empty)
            else:
                pieces.append(piece)
        return assemble(self._dialect, pieces, self._given)


def list_size(dialect: Dialect, values: Sequence[Any]) -> int:
    """Return how many parameters a list of plain values makes."""
    return len(_padded(values)) if dialect.features.array_param == "expand" else 1


def _padded(values: Sequence[Any]) -> Sequence[Any]:
    """Repeat the last value up to a round length, so that few texts serve all lists."""
    size = len(values)
    if size <= 4 or size > 1024:
        return values
    return (*values, *([values[-1]] * ((1 << (size - 1).bit_length()) - size)))


def assemble(dialect: Dialect, pieces: Sequence[Piece], given: int) -> tuple[str, Params]:
    """Return the text with the dialect's placeholders, and the function from `given` binds to values."""
    texts: list[str] = []
    taken: list[Piece] = []
    places: dict[tuple[int, Encoder], int] = {}
    numbered = dialect.paramstyle == "numeric"
    used = 0
    # Where %s is the placeholder, a driver that gets parameters reads %% as a plain percent sign.
    doubled = dialect.paramstyle == "format" and any(not isinstance(piece, str) for piece in pieces)

    def marks(width: int) -> str:
        nonlocal used
        used += width
        return ", ".join([dialect.placeholder(place) for place in range(used - width + 1, used + 1)])

    for piece in pieces:
        if isinstance(piece, str):
            texts.append(piece.replace("%", "%%") if doubled else piece)
            continue
        if isinstance(piece, Slot):
            known = places.get((piece.start, piece.encoder)) if numbered else None
            if known is not None:
                texts.append(dialect.placeholder(known))
                continue
            texts.append(marks(1))
            places[piece.start, piece.encoder] = used
        elif isinstance(piece, Spread):
            if piece.width:
                texts.append(", ".join([f"({marks(piece.width)})" for _ in range(piece.length)]))
            else:
                texts.append(marks(piece.length))
        else:
            texts.append(", ".join([f"({marks(len(piece.encoders))})" for _ in range(piece.rows)]))
        taken.append(piece)
    text = "".join(texts)
    return text, _params(taken, given, text)


def _identity(binds: Binds) -> Binds:
    return binds


class Unfit:
    """What a generated function calls when an encoder has refused a value of a statement."""

    def __init__(self, sql: str) -> None:
        self.sql = sql

    def __call__(self, error: DataError) -> None:
        """Raise `DataError` with the statement."""
        statement = redact_statement(self.sql)
        raise DataError(f"{error}\n  statement: {statement}", statement=statement) from error


def _params(taken: Sequence[Piece], given: int, sql: str) -> Params:
    """Generate the function that picks and encodes parameters; the identity where nothing is to be done."""
    position = 0
    for piece in taken:
        if isinstance(piece, Slot) and piece.encoder is None and piece.start == position:
            position += 1
        elif isinstance(piece, Rows) and not any(piece.encoders) and piece.start == position:
            position += piece.rows * len(piece.encoders)
        else:
            return _generate(taken, sql)
    return _identity if position >= given else _generate(taken, sql)


def _generate(taken: Sequence[Piece], sql: str) -> Params:
    names: dict[str, Any] = {"DataError": DataError, "refuse": Unfit(sql)}

    def encoded(value: str, encoder: Encoder, optional: bool) -> str:
        if encoder is None:
            return value
        name = next((known for known, each in names.items() if each is encoder), f"e{len(names)}")
        names[name] = encoder
        return f"None if {value} is None else {name}({value})" if optional else f"{name}({value})"

    def source_of(piece: Piece) -> str:
        if isinstance(piece, Slot):
            return encoded(f"b[{piece.start}]", piece.encoder, piece.optional)
        if isinstance(piece, Spread):
            listed = f"b[{piece.start}]"
            if piece.width:
                each = "t" if piece.encoder is None else encoded("t", piece.encoder, False)
                return f"*[v for t in {listed} for v in {each}]"
            return (
                f"*{listed}"
                if piece.encoder is None
                else f"*map({encoded('', piece.encoder, False)[:-2]}, {listed})"
            )
        assert isinstance(piece, Rows)
        width = len(piece.encoders)
        stop = piece.start + piece.rows * width
        if not any(piece.encoders):
            return f"*b[{piece.start}:{stop}]"
        if piece.rows == 1:
            values = [encoded(f"b[{piece.start + n}]", e, True) for n, e in enumerate(piece.encoders)]
            return ",\n            ".join(values)
        values = [encoded(f"b[i + {n}]", encoder, True) for n, encoder in enumerate(piece.encoders)]
        return f"*[v for i in range({piece.start}, {stop}, {width}) for v in ({', '.join(values)},)]"

    body = "".join([f"            {source_of(piece)},\n" for piece in taken])
    source = f"def params(b):\n    try:\n        return (\n{body}        )\n"
    exec(_code(f"{source}    except DataError as error:\n        refuse(error)\n"), names)
    made: Params = names["params"]
    return made


_codes: dict[str, CodeType] = {}
_serials = count(1)


def _code(source: str) -> CodeType:
    """Compile a source once; its text is registered so that tracebacks show it."""
    found = _codes.get(source)
    if found is None:
        if len(_codes) >= 2048:
            for code in _codes.values():
                linecache.cache.pop(code.co_filename, None)
            _codes.clear()
        filename = f"<blaze params {next(_serials)}>"
        found = _codes[source] = compile(source, filename, "exec")
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    return found
