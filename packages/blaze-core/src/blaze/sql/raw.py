"""Safe raw SQL: `sql("... {x}", x=value)`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from blaze.dialects.types import SQLType
from blaze.errors import QueryError
from blaze.sql.expressions import Expression, Literal, ScalarSubquery, T, bind_for
from blaze.sql.selectable import Selectable
from blaze.sql.values import argument_type, type_for, type_of
from blaze.utils.naming import suggest
from blaze.utils.parameters import NamedParameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from blaze.sql.table import Table

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class RawList(Expression[Any]):
    """A list of values inside a template: `id IN {ids}`; its parentheses come by themselves.

    Without a value in it that tells, its type is None.
    """

    __slots__ = ()

    visit = "raw_list"

    def __init__(self, values: tuple[Any, ...]) -> None:
        kind = next((type_of(value) for value in values if value is not None), None)
        self.type = kind
        self.binds = (values,)
        self.key = ("LIST", None if kind is None else bind_for(kind).key)


class TableName(Expression[Any]):
    """The quoted name of a model's table inside a template: `FROM {book}`."""

    __slots__ = ("table",)

    visit = "table_name"

    def __init__(self, table: Table) -> None:
        self.table = table
        self.type = None
        self.binds = ()
        self.key = ("TABLE", table.serial)


class Raw(Expression[T]):
    """SQL text with values and expressions in it; stands as an expression or as a whole statement."""

    __slots__ = ("names", "pieces")

    visit = "raw"

    def __init__(
        self,
        pieces: tuple[Union[str, Expression[Any]], ...],
        type: Optional[SQLType],
        names: tuple[Optional[str], ...] = (),
    ) -> None:
        self.pieces = pieces
        self.type = type
        self.names = names  # what the user calls each of the binds
        self.binds = tuple(
            [value for piece in pieces if isinstance(piece, Expression) for value in piece.binds]
        )
        # A text is wrapped: it must never equal the key of a column. The type says how rows are read.
        self.key = (
            "SQL",
            None if type is None else bind_for(type).key,
            *[(piece,) if isinstance(piece, str) else piece.key for piece in pieces],
        )

    def children(self) -> Iterator[Expression[Any]]:
        return (piece for piece in self.pieces if isinstance(piece, Expression))

    def named(self, params: Sequence[Any], size: Callable[[Sequence[Any]], int]) -> NamedParameters:
        """Return its parameters with the names that the user gave them; `size` tells how many a list makes.

        Where queries among the values leave a doubt, every name stands for all.
        """
        names: list[Optional[str]] = []
        for name, value in zip(self.names, self.binds):
            names += [name] * (size(value) if isinstance(value, tuple) else 1)
        if len(names) != len(params):
            given = dict.fromkeys(name for name in self.names if name is not None)
            names = ["_".join(given) or None] * len(params)
        return NamedParameters(params, names)


def sql(template: str, /, *, type: Union[type, SQLType, None] = None, **values: Any) -> Raw[Any]:
    """Make SQL of a template: `sql("price < {limit}", limit=20)`.

    A value is bound, never pasted; a list stands for `(a, b, ...)`, an expression, a query or another
    template for itself, a model for the name of its table. `{{` and `}}` are braces. Raise `QueryError` for a
    name without a value, the reverse, or a stray brace.
    """
    if not isinstance(template, str) or "\0" in template:
        raise QueryError("sql() takes a text without NUL characters")
    pieces: list[Union[str, Expression[Any]]] = []
    names: list[Optional[str]] = []
    used: set[str] = set()
    last = 0
    text = ""
    for found in _FIELD.finditer(template):
        text += template[last : found.start()]
        last = found.end()
        token = found[0]
        if token in ("{{", "}}"):
            text += token[0]
            continue
        name = found[1]
        if name is None or not name.isidentifier():
            raise QueryError(
                f"{token!r} at {found.start()} of the SQL template is no field: write {{name}} or {{{{"
            )
        if name not in values:
            raise QueryError(f"the SQL template has no value for {{{name}}}{suggest(name, values)}")
        used.add(name)
        piece = _piece(values[name])
        pieces += [text, piece]
        text = ""
        if isinstance(piece, Raw):
            names += piece.names
        else:
            own = isinstance(piece, (Literal, RawList))
            names += [name if own else None] * len(piece.binds)
    pieces.append(text + template[last:])
    unused = sorted(values.keys() - used)
    if unused:
        raise QueryError(f"the SQL template does not use {unused[0]!r}{suggest(unused[0], used)}")
    return Raw(
        tuple([piece for piece in pieces if not isinstance(piece, str) or piece]),
        None if type is None else type_for(type),
        tuple(names),
    )


def _piece(value: Any) -> Expression[Any]:
    if isinstance(value, Expression):
        return value
    if isinstance(value, Selectable):
        return ScalarSubquery(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return RawList(tuple(value))
    mapper = getattr(value, "__mapper__", None) if isinstance(value, type) else None
    if mapper is not None:
        mapper.registry.configure(mapper)
        return TableName(mapper.table)
    return Literal(value, argument_type(value))
