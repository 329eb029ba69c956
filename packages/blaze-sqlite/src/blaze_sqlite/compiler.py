"""Where SQLite's SQL differs from the default."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.dialects.types import (
    Binary,
    Custom,
    Date,
    DateTime,
    Float,
    Integer,
    Interval,
    Json,
    Numeric,
    SQLType,
    String,
    Time,
)
from blaze.errors import CapabilityError, QueryError
from blaze.sql import patterns
from blaze.sql.columns import Column
from blaze.sql.compiler import Compiler
from blaze.sql.conditions import flattened, joined
from blaze.sql.derived import QueryTable
from blaze.sql.expressions import Bind, InList, InQuery, Literal
from blaze.sql.functions import Excluded
from blaze.sql.json_items import JsonItem, is_document
from blaze.sql.values import DATE, LARGEST, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blaze.sql.compiled import Encoder
    from blaze.sql.expressions import Arithmetic, Between, Cast, Comparison, Expression, Match
    from blaze.sql.functions import Function
    from blaze.sql.json_items import ScalarBind
    from blaze.sql.rows import RowInList
    from blaze.sql.scope import Scope
    from blaze.sql.source import Source
    from blaze.sql.statements import InsertStatement, Placed, PlacedQuery, Statement
    from blaze.sql.table import TableColumn
    from blaze.sql.windows import Windowed

_DECIMAL_OPERATORS = {
    "+": "decimal_add",
    "-": "decimal_sub",
    "*": "decimal_mul",
    "/": "decimal_div",
    "%": "decimal_mod",
}
# Moments are texts whose parts stand in fixed places.
_CASTS = {
    ("moment", "day"): "substr({}, 1, 10)",
    ("moment", "naive"): "substr({}, 1, 26)",
    ("moment", "time"): "substr({}, 12, 15)",
    ("naive", "day"): "substr({}, 1, 10)",
    ("naive", "moment"): "({} || '+00:00')",
    ("naive", "time"): "substr({}, 12, 15)",
    ("day", "moment"): "({} || ' 00:00:00.000000+00:00')",
    ("day", "naive"): "({} || ' 00:00:00.000000')",
}
# Python can register window functions from 3.11 on.
_WINDOWS = hasattr(sqlite3.Connection, "create_window_function")
_STRFTIME = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S"}


class SQLiteCompiler(Compiler):
    """Decimals are texts under the collation `decimal`, lists are JSON, texts match by GLOB and instr."""

    materialized_hint = True
    intersect_first = False
    document_function = "blaze_json"
    depth = 0  # of the statement that is rendered: 1 where its columns are what the caller reads
    operands: tuple[Expression[Any], ...] = ()  # of the arithmetic of integers that is rendered
    beside_key: frozenset[int] = frozenset()  # ids of the lists that only check what a list of keys finds

    # Decimals: exact texts. Columns carry the collation, everything computed gets it where it is compared.

    def operand(self, node: Expression[Any]) -> str:
        text = self.enclosed(node)
        if is_document(node):
            return f"{self.document_function}({text})"
        return f"{text} COLLATE decimal" if _is_decimal(node) and not _has_collation(node) else text

    sortable = operand

    def _side(self, node: Expression[Any], other: Expression[Any]) -> str:
        """Render a side of a comparison; beside a decimal every number becomes a decimal."""
        if _is_decimal(other) and not _is_decimal(node) and node.type is not None:
            return f"decimal({self.render(node)}) COLLATE decimal"
        return self.operand(node)

    def render_comparison(self, node: Comparison) -> str:
        return f"{self._side(node.left, node.right)} {node.op} {self._side(node.right, node.left)}"

    def render_between(self, node: Between) -> str:
        value = self._side(node.expression, node.low)
        low = self._side(node.low, node.expression)
        return f"{value} BETWEEN {low} AND {self._side(node.high, node.expression)}"

    def render_arithmetic(self, node: Arithmetic[Any]) -> str:
        if isinstance(node.type, Integer):
            return self._whole(node)
        if node.op == "%" and isinstance(_storage(node.type), Float):  # its own % cuts both to integers
            return f"blaze_mod({self.render(node.left)}, {self.render(node.right)})"
        if not isinstance(node.type, Numeric):
            text = super().render_arithmetic(node)
            if node.op != "/" or isinstance(node.left.type, (Integer, Interval)):
                return text
            return (
                f"(1.0 * {text[1:]}"  # others may have written integers into columns of floats: no 1 / 2 = 0
            )
        left = self.render(node.left)
        return f"{_DECIMAL_OPERATORS[node.op]}({left}, {self.render(node.right)})"

    def _whole(self, node: Arithmetic[Any]) -> str:
        """Render arithmetic of integers, of which SQLite makes an inexact float where 64 bits do not suffice.

        abs() of the least integer raises, and so does this for a float. What holds a subquery or a window
        is left as it is: it would run twice.
        """
        outer, self.operands = self.operands, (node.left, node.right)
        text = super().render_arithmetic(node)
        self.operands = outer
        if any(node is each for each in outer) or "SELECT " in text or " OVER " in text:
            return text  # a float makes floats of what is calculated with it
        return f"({text} + (abs(-{LARGEST} - (typeof({text}) = 'real')) - {LARGEST}))"

    def render_cast(self, node: Cast[Any]) -> str:
        assert node.type is not None
        text = self.render(node.expression)
        if isinstance(node.type, Numeric):
            return f"decimal({text})"
        part = _CASTS.get((_moment(node.expression.type), _moment(node.type)))
        if part is not None:
            return part.format(text)
        return f"CAST({text} AS {self.cast_type(node.type)})"

    def cast_type(self, type: SQLType) -> str:
        if isinstance(_storage(type), Float):
            return "REAL"
        # Only the last word of a declared type such as DATE TEXT says how a value is stored.
        declared = self.dialect.type_ddl(type)
        return declared.split("(")[0].split()[-1] if "COLLATE" not in declared else "TEXT"

    def _decimal_call(self, node: Function[Any]) -> str:
        return self.call(node, f"decimal_{node.name}" if _is_decimal(node.arguments[0]) else None)

    function_sum = function_avg = function_abs = function_round = _decimal_call

    def render_windowed(self, node: Windowed[Any]) -> str:
        function: Any = node.function
        if function.name in ("sum", "avg") and _is_decimal(function.arguments[0]) and not _WINDOWS:
            raise CapabilityError(
                f"sqlite has no window function {function.name}() of decimals before Python 3.11: "
                "cast to float, or calculate in Python"
            )
        return super().render_windowed(node)

    def _extreme(self, node: Function[Any]) -> str:
        if not _is_decimal(node.arguments[0]) or _has_collation(node.arguments[0]):
            return self.call(node)
        condition = [f" FILTER (WHERE {self.truth(each)})" for each in node.condition]
        return f"{node.name}({self.operand(node.arguments[0])}){''.join(condition)}"

    function_min = function_max = _extreme

    def _of_several(self, node: Function[Any]) -> str:
        name = "max" if node.name == "greatest" else "min"
        first, *others = [self.operand(each) for each in node.arguments]
        return f"{name}({', '.join([first, *others])})"

    function_greatest = function_least = _of_several

    def insert_query(self, statement: InsertStatement, query: str) -> str:
        # Without a WHERE, SQLite's parser takes the ON of ON CONFLICT for that of a join.
        return query if statement.conflict is None else f"SELECT * FROM ({query}) WHERE 1"

    def assigned(self, column: TableColumn, placed: Placed, base: int) -> str:
        """Round a computed decimal to the places of its column, and refuse what the column is too short for:
        no type of SQLite does that.
        """
        text = super().assigned(column, placed, base)
        node, storage = placed.expression, _storage(column.type)
        if node.type == column.type and isinstance(node, (Bind, Column, Excluded, Literal)):
            return text
        if isinstance(storage, Numeric) and storage.precision is not None:
            return f"blaze_decimal({text}, {storage.precision}, {storage.scale or 0})"
        if isinstance(storage, String) and storage.length is not None:
            return f"blaze_short({text}, {storage.length})"
        return text

    def statement(self, statement: Statement, base: int, outer: Optional[Scope]) -> str:
        self.depth += 1
        try:
            return super().statement(statement, base, outer)
        finally:
            self.depth -= 1

    def member(self, placed: PlacedQuery, base: int, outer: Optional[Scope]) -> str:
        self.depth -= 1
        try:
            return super().member(placed, base, outer)
        finally:
            self.depth += 1

    # Lists.

    def where(self, scope: Scope, groups: Sequence[Sequence[Placed]], base: int) -> str:
        outer, self.beside_key = self.beside_key, _lists_beside_key(groups)
        try:
            return super().where(scope, groups, base)
        finally:
            self.beside_key = outer

    def render_in_query(self, node: InQuery) -> str:
        return f"{'+' if id(node) in self.beside_key else ''}{super().render_in_query(node)}"

    def render_in_list(self, node: InList) -> str:
        left = self.operand(node.expression)
        if isinstance(_storage(node.item), Binary):
            left = f"CASE WHEN {left} IS NOT NULL THEN hex({left}) END"  # hex(NULL) is a text
        elif id(node) in self.beside_key:
            left = f"+{left}"
        return f"{left} {'NOT ' if node.negated else ''}IN ({self.list_query(self.take(), node.item)})"

    def render_row_in_list(self, node: RowInList) -> str:
        left, right = [], []
        for position, (item, kind) in enumerate(zip(node.items, node.types)):
            text = self.operand(item)
            binary = isinstance(_storage(kind), Binary)
            left.append(f"hex({text})" if binary else text)
            member = f"json_extract(value, '$[{position}]')"
            if isinstance(_storage(kind), Json):
                member = f"{self.document_function}({member})"
            if isinstance(_storage(kind), String):
                member = _with_nul(f"json_type(value, '$[{position}]')", member)
            right.append(member)
        encoders = [_item_encoder(self.encoder(kind), kind) for kind in node.types]
        rows = self.param(self.take(), _rows_encoder(encoders))
        return f"({', '.join(left)}) IN (SELECT {', '.join(right)} FROM json_each({rows}))"

    def list_query(self, start: int, item: Optional[SQLType]) -> str:
        value = _with_nul("type", "value") if isinstance(_storage(item), String) else "value"
        if isinstance(_storage(item), Json):
            value = f"{self.document_function}({value})"
        return f"SELECT {value} FROM json_each({self.param(start, _list_encoder(self.encoder(item), item))})"

    def exists_row(self, scope: Scope, source: Source, members: Sequence[tuple[Expression[Any], int]]) -> str:
        """Render a condition with a list of keys of the rows of a to-many step as one of the parent's keys.

        EXISTS would ask for each key and each parent: an index of the foreign key ends in the rowid.
        """
        if len(source.on) != 1 or not any(_is_key_list(each, source) for each, _ in members):
            return super().exists_row(scope, source, members)
        inner, origin, _ = self._step(scope, source)
        ((other, own),) = source.on
        assert source.parent is not None
        child = f"{self.alias(inner.aliases[source.key])}.{self.quote(own.name)}"
        parent = f"{self.alias(scope.locate(source.parent))}.{self.quote(other.name)}"
        texts = self.conditions(inner, members)
        if source.only is not None:
            texts.append(self.criterion(source.only, inner.aliases[source.key]))
        self.scope = scope
        found = f"SELECT {child} FROM {' '.join([origin, *inner.joins])}"
        condition = joined("AND", [f"{child} IS NOT NULL", *texts])
        return f"({parent} IS NOT NULL AND {parent} IN ({found} WHERE {condition}))"  # never NULL, under NOT

    # Texts.

    def lowered(self, text: str) -> str:
        return f"blaze_lower({text})"

    def function_lower(self, node: Function[Any]) -> str:
        return self.call(node, "blaze_lower")

    def function_upper(self, node: Function[Any]) -> str:
        return self.call(node, "blaze_upper")

    def function_string_agg(self, node: Function[Any]) -> str:
        if node.distinct:
            raise CapabilityError("sqlite has no string_agg(distinct=True) with a separator")
        return self.call(node, "group_concat")

    def render_match(self, node: Match) -> str:
        kind = node.kind[1:] if node.kind[0] == "i" else node.kind
        folded = node.kind[0] == "i"
        left = self.render(node.left)
        if folded:
            left = self.lowered(left)
        if not isinstance(node.right, Bind):
            right = self.render(node.right)
            return _computed_match(kind, left, self.lowered(right) if folded else right)
        start = self.take()

        def value(*steps: Callable[[str], str]) -> str:
            return self.param(start, _chain(str.lower, *steps) if folded else _chain(*steps))

        if kind == "exact":
            return f"{left} = {value()}"
        if kind == "contains":
            return f"instr({left}, {value()}) > 0"
        if kind == "startswith":
            # A range, because an index serves it whatever the value is.
            return f"({left} >= {value()} AND {left} < {value(_prefix_end)})"
        if kind == "endswith":
            return _tail(left, value(), value(), value())
        return f"{left} GLOB {value(patterns.like_to_glob)}"

    # Time.

    def function_now(self, node: Function[Any]) -> str:
        return self.current(TIMESTAMP)

    def function_current_date(self, node: Function[Any]) -> str:
        return self.current(DATE)

    def current(self, type: SQLType) -> str:
        """Render the present moment as values of a type are stored."""
        return self.dialect.current_timestamp(type)

    def _part(self, node: Function[Any]) -> str:
        part = _STRFTIME[node.name.partition("_")[2]]
        return f"CAST(strftime('{part}', {self.render(node.arguments[0])}) AS INTEGER)"

    function_extract_year = function_extract_month = function_extract_day = _part
    function_extract_hour = function_extract_minute = function_extract_second = _part

    # JSON.

    def render_json_item(self, node: JsonItem[Any]) -> str:
        text = self.render(node.expression)
        return f"json_extract({text}, {self.param(self.take(), _json_path)})"

    def selected(self, node: Expression[Any]) -> str:
        if self.depth == 1 and isinstance(_storage(node.type), Float):
            return f"CAST({super().selected(node)} AS REAL)"  # integers are floats to whoever reads them
        if not isinstance(node, JsonItem) or not isinstance(node.type, Json):
            return self.operand(node) if _is_decimal(node) else super().selected(node)  # for DISTINCT
        # json_extract gives plain SQL values; -> gives JSON, from which every value can be read back.
        self.require("json_paths", "JSON values of JSON paths (SQLite 3.38)")
        text = self.render(node.expression)
        return f"{text} -> {self.param(self.take(), _json_path)}"

    def render_json_scalar(self, node: ScalarBind) -> str:
        return self.param(self.take())


def _moment(type: Optional[SQLType]) -> str:
    storage = _storage(type)
    if isinstance(storage, DateTime):
        return "moment" if storage.timezone else "naive"
    return "day" if isinstance(storage, Date) else "time" if isinstance(storage, Time) else ""


def _is_decimal(node: Expression[Any]) -> bool:
    return isinstance(_storage(node.type), Numeric)


def _lists_beside_key(groups: Sequence[Sequence[Placed]]) -> frozenset[int]:
    """Find the lists that must not be looked up in an index, because one of keys stands beside them.

    Every index of SQLite ends in the rowid: with both lists it would be asked for each pair of their values.
    """
    lists: dict[Any, list[Any]] = {}
    for number, group in enumerate(groups):
        for each, _ in flattened((placed.expression, 0) for placed in group):
            if isinstance(each, (InList, InQuery)) and not each.negated:
                column = each.expression
                if isinstance(column, Column):  # conditions on a to-many path share a row within a group only
                    key = (column.source.key, number if column.source.plural else None)
                    lists.setdefault(key, []).append(each)
    found: list[int] = []
    for beside in lists.values():
        keys = [each for each in beside if _is_rowid(each.expression)]
        found += [id(each) for each in beside if keys and each is not keys[0]]
    return frozenset(found)


def _is_key_list(node: Expression[Any], source: Source) -> bool:
    """Whether this is a list of keys of just the rows of a source."""
    if not isinstance(node, InList) or node.negated or not isinstance(node.expression, Column):
        return False
    return node.expression.source.key == source.key and _is_rowid(node.expression)


def _is_rowid(column: Column[Any]) -> bool:
    return column.source.table.primary_key == (column.column,) and isinstance(column.type, Integer)


def _has_collation(node: Expression[Any]) -> bool:
    """Whether a decimal needs no COLLATE: tables declare it, and values take that of the other side."""
    if isinstance(node, Column):
        return not isinstance(node.source.table, QueryTable)
    return isinstance(node, (Bind, Literal))


def _storage(item: Optional[SQLType]) -> Optional[SQLType]:
    while isinstance(item, Custom):
        item = item.storage
    return item


def _with_nul(kind: str, item: str) -> str:
    """Read a text of a JSON list: SQLite ends it at a NUL, so such texts come as `[hexadecimal]`."""
    return f"CASE {kind} WHEN 'array' THEN blaze_text({item}) ELSE {item} END"


def _json_text(value: str) -> Any:
    return [value.encode().hex()] if "\0" in value else value


def _list_encoder(encoder: Encoder, item: Optional[SQLType]) -> Encoder:
    storage = _storage(item)
    if isinstance(storage, Binary):
        return lambda values: json.dumps([bytes(value).hex().upper() for value in values])
    if isinstance(storage, Float):
        # 17 digits name each float exactly; 9e999 is read as infinity.
        return lambda values: f"[{','.join([_float_text(value) for value in values])}]"
    if isinstance(storage, String):
        return lambda values: json.dumps([_json_text(v if encoder is None else encoder(v)) for v in values])
    if encoder is None:
        return lambda values: json.dumps(list(values))
    return lambda values: json.dumps(list(map(encoder, values)))


def _item_encoder(encoder: Encoder, item: Optional[SQLType]) -> Callable[[Any], str]:
    storage = _storage(item)
    if isinstance(storage, Binary):
        return lambda value: f'"{bytes(value).hex().upper()}"'
    if isinstance(storage, Float):
        return _float_text
    if isinstance(storage, String):
        return lambda value: json.dumps(_json_text(value if encoder is None else encoder(value)))
    if encoder is None:
        return json.dumps
    return lambda value: json.dumps(encoder(value))


def _rows_encoder(encoders: Sequence[Callable[[Any], str]]) -> Encoder:
    def encode(rows: Sequence[Sequence[Any]]) -> str:
        texts = [",".join([one(value) for one, value in zip(encoders, row)]) for row in rows]
        return f"[[{'],['.join(texts)}]]" if texts else "[]"

    return encode


def _float_text(value: float) -> str:
    return f"{value:.17g}".replace("inf", "9e999")


def _chain(*steps: Callable[[Any], Any]) -> Encoder:
    if len(steps) < 2:
        return steps[0] if steps else None
    first, second = steps
    return lambda value: second(first(value))


def _prefix_end(prefix: str) -> Any:
    # Every BLOB is greater than every text.
    return patterns.prefix_end(prefix) or b""


# Texts are cut as bytes: GLOB, length() and substr() of a text stop at a NUL character. One more character
# keeps them from being empty, of which substr() would make NULL.


def _tail(text: str, end: str, again: str, once_more: str) -> str:
    """Test a text for its end, given three times (as three placeholders)."""
    length = f"length(CAST({end} || '.' AS BLOB))"
    again = f"length(CAST({again} || '.' AS BLOB))"
    return f"substr(CAST({text} || '.' AS BLOB), -{length}, {again}) = CAST({once_more} || '.' AS BLOB)"


def _computed_match(kind: str, left: str, right: str) -> str:
    if kind == "exact":
        return f"{left} = {right}"
    if kind == "contains":
        return f"instr({left}, {right}) > 0"
    if kind == "startswith":
        prefix = f"CAST('.' || {right} AS BLOB)"
        return f"substr(CAST('.' || {left} AS BLOB), 1, length({prefix})) = {prefix}"
    return _tail(left, right, right, right)


def _json_path(steps: tuple[Any, ...]) -> str:
    text = "$"
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]" if step >= 0 else f"[#{step}]"
        elif '"' in step:
            raise QueryError("sqlite cannot reach a JSON key that holds a quotation mark by a path")
        else:
            text += f'."{step}"'
    return text
