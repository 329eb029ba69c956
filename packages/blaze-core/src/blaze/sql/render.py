"""Rendering of expressions, as a mixin of the compiler: one method for each kind of node.

Every method steps over the binds of its node in the order of the node's children; the text may arrange them
freely. Names of hooks for functions are `function_<name>(node)`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from blaze.dialects.types import Date, DateTime, Float, Integer, Interval, SQLType, Time
from blaze.errors import CapabilityError, QueryError
from blaze.sql import patterns
from blaze.sql.expressions import Bind, Label, Literal, Ordering
from blaze.sql.json_items import is_document
from blaze.sql.tokens import require_single
from blaze.sql.values import DATE, FLOAT, INTEGER
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blaze.dialects.dialect import Dialect
    from blaze.dialects.features import Features
    from blaze.sql.columns import Column
    from blaze.sql.compiled import Encoder
    from blaze.sql.expressions import (
        Arithmetic,
        Between,
        Cast,
        Comparison,
        Expression,
        InList,
        InQuery,
        IsNull,
        IsTrue,
        Literal,
        Logical,
        Match,
        Not,
        ScalarSubquery,
    )
    from blaze.sql.functions import Case, Excluded, Exists, Function, RowComparison, RowValue
    from blaze.sql.json_items import JsonItem, ScalarBind
    from blaze.sql.raw import Raw, RawList, TableName
    from blaze.sql.rows import RowInList
    from blaze.sql.scope import Scope
    from blaze.sql.selectable import Selectable
    from blaze.sql.source import Source
    from blaze.sql.table import Table, TableColumn
    from blaze.sql.windows import Windowed


_CONDITIONS = frozenset(
    {"between", "comparison", "in_list", "in_query", "is_null", "is_true", "logical", "match", "not_"}
    | {"row_comparison", "row_in_list"}
)


class ExpressionRenderer:
    """Render expressions; what it needs of the compiler is declared first."""

    dialect: Dialect
    features: Features
    cursor: int
    scope: Scope
    quote: Callable[[str], str]
    new_row: tuple[TableColumn, ...] = ()  # while an INSERT is rendered
    # What gives equal JSON documents equal texts, where the database keeps them as texts.
    document_function: Optional[str] = None

    if TYPE_CHECKING:

        def param(
            self,
            start: int,
            encoder: Encoder = None,
            optional: bool = False,
            expand: bool = False,
            width: int = 0,
        ) -> str: ...
        def take(self) -> int: ...
        def encoder(self, type: Optional[SQLType]) -> Encoder: ...
        def require(self, feature: str, what: str) -> None: ...
        def alias(self, alias: int) -> str: ...
        def new_alias(self, table: Table, name: Optional[str] = None) -> int: ...
        def table_name(self, table: Table) -> str: ...
        def pairs(self, source: Source, alias: int, parent_alias: int) -> str: ...
        def add_join(self, scope: Scope, source: Source, parent_alias: int, kind: str) -> int: ...
        def subquery(self, query: Selectable, start: int, outer: Optional[Scope]) -> str: ...
        def condition(self, scope: Scope, started: tuple[Expression[Any], int]) -> str: ...

    def render(self, node: Expression[Any]) -> str:
        """Render an expression whose binds start at the cursor."""
        method: Callable[[Any], str] = getattr(self, f"render_{node.visit}")
        return method(node)

    def truth(self, node: Expression[Any]) -> str:
        """Render an expression that stands as a condition and step over its binds."""
        start = self.cursor
        text = self.condition(self.scope, (node, start))
        self.cursor = start + len(node.binds)
        return text

    def enclosed(self, node: Expression[Any]) -> str:
        """Render an expression, a condition in parentheses: databases differ in which of two binds first."""
        text = self.render(node)
        return f"({text})" if node.visit in _CONDITIONS else text

    def operand(self, node: Expression[Any]) -> str:
        """Render a side of a comparison."""
        text = self.enclosed(node)
        if self.document_function is not None and is_document(node):
            return f"{self.document_function}({text})"
        return text

    # Leaves.

    def render_bind(self, node: Union[Bind[Any], Literal[Any]]) -> str:
        return self.param(self.take(), self.encoder(node.type), not isinstance(node, Bind))

    def render_column(self, node: Column[Any]) -> str:
        return f"{self.alias(self.scope.locate(node.source))}.{self.quote(node.column.name)}"

    def render_excluded(self, node: Excluded[Any]) -> str:
        return f"excluded.{self.quote(self.excluded_column(node))}"

    def excluded_column(self, node: Excluded[Any]) -> str:
        """Return the name of a column of the new row; raise `QueryError` where there is none of that name."""
        if not self.new_row:
            raise QueryError("excluded() means the new row in on_conflict(update=...), and nothing elsewhere")
        for column in self.new_row:
            if column is node.column or (node.column is None and column.attribute == node.name):
                return column.name
        names = [column.attribute for column in self.new_row]
        raise QueryError(f"excluded({node.name!r}): the new row has no such field{suggest(node.name, names)}")

    def render_scalar_subquery(self, node: ScalarSubquery[Any]) -> str:
        return f"({self.subquery(node.query, self.cursor, self.scope)})"

    def render_exists(self, node: Exists) -> str:
        return f"EXISTS ({self.subquery(node.query, self.cursor, self.scope)})"

    def render_raw(self, node: Raw[Any]) -> str:
        text = " ? ".join([part for part in node.pieces if isinstance(part, str)])
        if ";" in text:
            require_single(text, self.dialect.features.lexis)
        return self.raw_text(node)

    def raw_text(self, node: Raw[Any]) -> str:
        """Render the pieces of a `sql()` template."""
        return "".join([part if isinstance(part, str) else self.render(part) for part in node.pieces])

    def render_raw_list(self, node: RawList) -> str:
        return f"({self.list_query(self.take(), node.type)})"

    def render_table_name(self, node: TableName) -> str:
        return self.table_name(node.table)

    # Conditions.

    def render_comparison(self, node: Comparison) -> str:
        return f"{self.operand(node.left)} {node.op} {self.operand(node.right)}"

    def render_row_comparison(self, node: RowComparison) -> str:
        self.require("row_values", "row values such as (a, b) < (1, 2)")
        return f"{self.render(node.left)} {node.op} {self.render(node.right)}"

    def render_row_value(self, node: RowValue) -> str:
        return f"({', '.join([self.operand(item) for item in node.items])})"

    def render_logical(self, node: Logical) -> str:
        return self.truth(node)

    def render_not_(self, node: Not) -> str:
        return self.truth(node)

    def render_is_true(self, node: IsTrue) -> str:
        return self.truth(node)

    def render_is_null(self, node: IsNull) -> str:
        return f"{self.enclosed(node.expression)} IS {'NOT ' if node.negated else ''}NULL"

    def render_between(self, node: Between) -> str:
        value = self.operand(node.expression)
        low = self.operand(node.low)
        return f"{value} BETWEEN {low} AND {self.operand(node.high)}"

    def render_in_list(self, node: InList) -> str:
        left = self.operand(node.expression)
        start = self.take()
        encoder = self.encoder(node.item)
        if self.features.array_param == "any":
            mark = self.param(start, list_encoder(encoder))
            return f"{left} <> ALL({mark})" if node.negated else f"{left} = ANY({mark})"
        mark = self.param(start, encoder, expand=True)
        return f"{left} {'NOT ' if node.negated else ''}IN ({mark})"

    def render_row_in_list(self, node: RowInList) -> str:
        self.require("row_value_in", "row values in IN")
        if self.document_function is not None and any(is_document(item) for item in node.items):
            raise QueryError("a list of rows cannot hold JSON documents here: compare with row(...) == (...)")
        left = ", ".join([self.operand(item) for item in node.items])
        encoders = [self.encoder(kind) for kind in node.types]
        mark = self.param(self.take(), _row_encoder(encoders), expand=True, width=len(encoders))
        return f"({left}) IN ({mark})"

    def list_query(self, start: int, item: Optional[SQLType]) -> str:
        """Render the inside of `IN (...)` for a list in a template."""
        encoder = self.encoder(item)
        if self.features.array_param == "any":
            return f"SELECT unnest({self.param(start, list_encoder(encoder))})"
        return self.param(start, encoder, expand=True)

    def render_in_query(self, node: InQuery) -> str:
        items = getattr(node.expression, "items", (node.expression,))
        columns = len(node.query.statement().columns)
        if columns != len(items):
            raise QueryError(
                f"{node.expression.describe()} is looked for in a query of {columns} columns; "
                f"select {len(items)}"
            )
        left = self.operand(node.expression)
        query = self.subquery(node.query, self.cursor, self.scope)
        if self.document_function is not None and any(is_document(item) for item in items):
            names = [self.quote(f"d{number}") for number in range(columns)]
            values = [f"{self.document_function}({n})" if is_document(i) else n for n, i in zip(names, items)]
            listed, found = f"{self.quote('d')} ({', '.join(names)})", ", ".join(values)
            query = f"WITH {listed} AS ({query}) SELECT {found} FROM {self.quote('d')}"
        return f"{left} {'NOT ' if node.negated else ''}IN ({query})"

    def render_match(self, node: Match) -> str:
        left = self.render(node.left)
        kind = node.kind
        bound = isinstance(node.right, Bind)
        if kind.startswith("i"):
            left = self.lowered(left)
        if kind == "iexact":
            return f"{left} = {self.lowered(self.render(node.right))}"
        encoder = patterns.LIKE[kind[1:] if kind[0] == "i" else kind]
        if bound:
            right = self.param(self.take(), encoder)
        else:
            right = self.like_pattern(kind, self.render(node.right))
        return self.like(left, self.lowered(right) if kind.startswith("i") else right)

    def like(self, left: str, right: str) -> str:
        """Render a case-sensitive LIKE whose escape character is `!`."""
        return f"{left} LIKE {right} ESCAPE '!'"

    def lowered(self, text: str) -> str:
        """Render a text in lower case."""
        return f"lower({text})"

    def like_pattern(self, kind: str, text: str) -> str:
        """Render the pattern for a text that is computed by the database."""
        escaped = text
        for character in "!%_":
            escaped = f"replace({escaped}, '{character}', '!{character}')"
        before = "" if kind.endswith("startswith") else "'%' || "
        after = "" if kind.endswith("endswith") else " || '%'"
        return f"({before}{escaped}{after})"

    # Values.

    def render_arithmetic(self, node: Arithmetic[Any]) -> str:
        left, right = node.left.type, node.right.type
        if isinstance(left, (DateTime, Date, Time)) or isinstance(right, (DateTime, Date, Time)):
            return self.time_arithmetic(node)
        op = node.op
        if op == "+" and node.type is not None and node.type.python_type is str:
            return f"({self.render(node.left)} || {self.render(node.right)})"
        if op == "/" and isinstance(left, Interval):
            return self.duration_quotient(node)
        first, second = self.render(node.left), self.render(node.right)
        number = self.cast_type(FLOAT)
        if isinstance(right, Integer) and (
            (op == "/" and isinstance(left, Integer)) or _is_given_float(node.left)
        ):
            first = f"CAST({first} AS {number})"
        elif isinstance(left, Integer) and _is_given_float(node.right):
            second = f"CAST({second} AS {number})"
        return f"({first} {op} {second})"

    def duration_quotient(self, node: Arithmetic[Any]) -> str:
        """Render a duration divided by a duration, which is a number, or by a number."""
        native = self.features.native_interval
        first, second = self.render(node.left), self.render(node.right)
        if isinstance(node.right.type, Interval):
            if native:
                first, second = f"EXTRACT(EPOCH FROM {first})", f"EXTRACT(EPOCH FROM {second})"
            return f"(CAST({first} AS {self.cast_type(FLOAT)}) / {second})"
        return f"({first} / {second})" if native else f"CAST({first} / {second} AS {self.cast_type(INTEGER)})"

    def time_arithmetic(self, node: Arithmetic[Any]) -> str:
        """Render sums and differences of points in time and durations."""
        if not self.features.native_interval:
            raise CapabilityError(
                f"{self.dialect.name} has no arithmetic of points in time: calculate in Python"
            )
        first, second = self.render(node.left), self.render(node.right)
        text = f"({first} {node.op} {second})"
        days = isinstance(node.left.type, Date), isinstance(node.right.type, Date)
        if all(days):  # a number of days
            return f"({text} * INTERVAL '1 day')"
        return (
            f"CAST({text} AS {self.cast_type(DATE)})" if any(days) and isinstance(node.type, Date) else text
        )

    def render_cast(self, node: Cast[Any]) -> str:
        assert node.type is not None
        return f"CAST({self.render(node.expression)} AS {self.cast_type(node.type)})"

    def cast_type(self, type: SQLType) -> str:
        """Return the name of a type inside CAST."""
        return self.dialect.type_ddl(type)

    def render_label(self, node: Label[Any]) -> str:
        return self.render(node.expression)  # the name belongs to the select list

    def output(self, node: Expression[Any]) -> str:
        """Render an item of a select list."""
        if isinstance(node, Label):
            return f"{self.selected(node.expression)} AS {self.quote(node.name)}"
        return self.selected(node)

    def selected(self, node: Expression[Any]) -> str:
        """Render the value of an item of a select list."""
        return self.render(node)

    def render_ordering(self, node: Ordering[Any]) -> str:
        return self.direction(self.sortable(node.expression), node)

    def sortable(self, node: Expression[Any]) -> str:
        """Render what rows are ordered or grouped by."""
        return self.render(node)

    def direction(self, text: str, node: Expression[Any]) -> str:
        """Add direction and place of NULLs to an ORDER BY item."""
        if not isinstance(node, Ordering):
            return text
        direction = " DESC" if node.descending else ""
        if node.nulls is None:
            return text + direction
        if self.features.nulls_order:
            return f"{text}{direction} NULLS {node.nulls}"
        first, last = (0, 1) if node.nulls == "FIRST" else (1, 0)
        return f"CASE WHEN {text} IS NULL THEN {first} ELSE {last} END, {text}{direction}"

    def render_case(self, node: Case[Any]) -> str:
        text = "CASE"
        for condition, value in zip(node.whens[::2], node.whens[1::2]):
            text += f" WHEN {self.truth(condition)} THEN {self.render(value)}"
        for value in node.otherwise:
            text += f" ELSE {self.render(value)}"
        return f"{text} END"

    # Functions.

    def render_function(self, node: Function[Any]) -> str:
        hook: Optional[Callable[[Function[Any]], str]] = getattr(self, f"function_{node.name}", None)
        return hook(node) if hook is not None else self.call(node)

    def call(self, node: Function[Any], name: Optional[str] = None) -> str:
        """Render `name(arguments)` with everything that an aggregate may have."""
        arguments = ", ".join([self.render(each) for each in node.arguments])
        if not node.arguments and node.name == "count":
            arguments = "*"
        distinct = "DISTINCT " if node.distinct else ""
        order = ""
        if node.order:
            order = f" ORDER BY {', '.join([self.render(each) for each in node.order])}"
        text = f"{name or node.name}({distinct}{arguments}{order})"
        for condition in node.condition:
            self.require("filter_clause", "FILTER (WHERE ...) of aggregates")
            text += f" FILTER (WHERE {self.truth(condition)})"
        return text

    def function_now(self, node: Function[Any]) -> str:
        return "CURRENT_TIMESTAMP"

    def function_current_date(self, node: Function[Any]) -> str:
        return "CURRENT_DATE"

    def _extract(self, node: Function[Any]) -> str:
        part = node.name.partition("_")[2].upper()
        return f"EXTRACT({part} FROM {self.render(node.arguments[0])})"

    function_extract_year = function_extract_month = function_extract_day = _extract
    function_extract_hour = function_extract_minute = function_extract_second = _extract

    def render_windowed(self, node: Windowed[Any]) -> str:
        self.require("window_functions", "window functions")
        text = self.render(node.function)
        window = []
        if node.partition:
            window.append(f"PARTITION BY {', '.join([self.sortable(each) for each in node.partition])}")
        if node.order:
            order = [each if isinstance(each, Ordering) else Ordering(each, False) for each in node.order]
            window.append(f"ORDER BY {', '.join([self.render(each) for each in order])}")
        frame = node.window.frame
        if frame is not None:
            start, end = frame
            bounds = f"{_bound(start, 'PRECEDING')} AND {_bound(end, 'FOLLOWING')}"
            window.append(f"{node.window.unit} BETWEEN {bounds}")
            if node.window.exclude is not None:
                self.require("window_frames_exclude", "EXCLUDE in window frames")
                window.append(f"EXCLUDE {node.window.exclude.upper()}")
        return f"{text} OVER ({' '.join(window)})"

    # JSON.

    def render_json_item(self, node: JsonItem[Any]) -> str:
        raise CapabilityError(f"{self.dialect.name} has no JSON paths")

    def render_json_scalar(self, node: ScalarBind) -> str:
        return self.param(self.take(), json.dumps)


def list_encoder(encoder: Encoder) -> Encoder:
    """Return the encoder of a list from that of its items."""
    return list if encoder is None else lambda values: list(map(encoder, values))


def _row_encoder(encoders: Sequence[Encoder]) -> Encoder:
    if not any(encoders):
        return None
    return lambda row: [value if e is None else e(value) for e, value in zip(encoders, row)]


def _bound(offset: Optional[int], unlimited: str) -> str:
    if offset is None:
        return f"UNBOUNDED {unlimited}"
    if offset == 0:
        return "CURRENT ROW"
    return f"{abs(offset)} {'PRECEDING' if offset < 0 else 'FOLLOWING'}"


def _is_given_float(node: Expression[Any]) -> bool:
    """Whether this is a value such as 1.5, which some databases read as a decimal beside a whole number."""
    return isinstance(node, Literal) and isinstance(node.type, Float)
