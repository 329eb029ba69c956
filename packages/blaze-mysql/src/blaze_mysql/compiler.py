"""Where the SQL of MySQL and MariaDB differs from the default."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Optional, Union, cast

from blaze.dialects.types import (
    Boolean,
    Custom,
    Date,
    DateTime,
    Float,
    Integer,
    Interval,
    Json,
    Numeric,
    SQLType,
    Time,
)
from blaze.errors import CapabilityError, QueryError
from blaze.sql.compiler import Compiler
from blaze.sql.expressions import Bind
from blaze.sql.json_items import JsonItem, ScalarBind, is_document
from blaze.sql.values import DATE, TIMESTAMP
from blaze_mysql.errors import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blaze.dialects.dialect import Dialect
    from blaze.sql.expressions import Comparison, Expression, InList, IsNull
    from blaze.sql.functions import Excluded, Function
    from blaze.sql.scope import Scope
    from blaze.sql.source import Source
    from blaze.sql.statements import InsertStatement, Lock, Placed
    from blaze.sql.table import Table, TableColumn
    from blaze.sql.windows import Windowed
    from blaze_mysql.dialect import MySQLDialect


class MySQLCompiler(Compiler):
    """Conflicts are duplicate keys, filters of aggregates are CASE, JSON is read by functions."""

    windowed = False
    new_name = ""  # of the row that met a conflict; where rows cannot be named, VALUES() tells its values

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self.document_function = "JSON_NORMALIZE" if self.mariadb else None

    @property
    def mariadb(self) -> bool:
        """Say whether the server is MariaDB."""
        return cast("MySQLDialect", self.dialect).server.mariadb

    # INSERT, UPDATE, DELETE.

    def default_values(self, statement: InsertStatement) -> str:
        return f"() VALUES {', '.join(['()'] * statement.rows)}"

    def conflict(self, statement: InsertStatement, base: int) -> str:
        conflict = statement.conflict
        if conflict is None:
            return ""
        if conflict.where is not None:
            raise CapabilityError("mysql has no condition on the update of a conflict")
        others = [key for key in conflict.others if _may_meet(key, statement.into)]
        guarded = bool(conflict.columns and others)
        server = cast("MySQLDialect", self.dialect).server
        named_rows = not server.mariadb and server.version >= (8, 0, 20)  # VALUES() is deprecated since then
        if named_rows and statement.query is None and (conflict.update or guarded):
            self.new_name = "blaze_new"
        named = f" AS {self.new_name}" if self.new_name else ""
        changes = []
        if guarded:
            changes.append(self._guard(statement.table, conflict.columns, others))
        elif not conflict.update:
            first = self.quote(statement.into[0].name)
            changes.append(f"{first} = {first}")
        if conflict.update:
            changes.append(self.assignments(conflict.update, base))
        return f"{named} ON DUPLICATE KEY UPDATE {', '.join(changes)}"

    def _guard(
        self, table: Table, named: Sequence[TableColumn], others: Iterable[Sequence[TableColumn]]
    ) -> str:
        """Render the assignment that changes nothing, and fails for a row met by another key than the named.

        The server takes any unique key for the one that is meant. A number out of range stops it in every
        SQL mode; its message quotes the term, and so the key (`errors.py` reads it). `=` and not `<=>`: NULL
        meets nothing.
        """
        met = self._equal_to_new(table, named)
        tests = [f"IF({self._equal_to_new(table, key)}, 2, 0)" for key in others if key]
        terms = [f"{GUARD}({met}, 0, {test}))" for test in [*tests, "2"]]
        first = self.quote(named[0].name)
        own = f"{self.quote(table.name)}.{first}"
        return f"{first} = IF({' + '.join(terms)}, {own}, {own})"

    def _equal_to_new(self, table: Table, columns: Sequence[TableColumn]) -> str:
        names = [self.quote(column.name) for column in columns]
        own = self.quote(table.name)
        return " AND ".join([f"{own}.{name} = {self._new_value(name)}" for name in names])

    def render_excluded(self, node: Excluded[Any]) -> str:
        return self._new_value(self.quote(self.excluded_column(node)))

    def _new_value(self, column: str) -> str:
        return f"{self.new_name}.{column}" if self.new_name else f"VALUES({column})"

    def own_where(self, root: Source, groups: Sequence[Sequence[Placed]], base: int) -> str:
        text = super().own_where(root, groups, base)
        # A subquery over the table that is changed must be a table of its own first.
        head, found, inner = text.partition(" IN (SELECT ")
        name = f" FROM {self.table_name(root.table)}"
        if not found or name not in inner:
            return text
        return f"{head} IN (SELECT * FROM (SELECT {inner[:-1]}) AS changed)"

    # Locks.

    def lock(self, lock: Lock, scope: Scope) -> str:
        text = super().lock(lock, scope)
        if self.mariadb and lock.share:
            return text.replace(" FOR SHARE", " LOCK IN SHARE MODE", 1)
        return text

    # Values.

    def cast_type(self, type: SQLType) -> str:
        while isinstance(type, Custom):
            type = type.storage
        if isinstance(type, (Integer, Boolean, Interval)):
            return "SIGNED"
        if isinstance(type, Numeric):
            return f"DECIMAL({type.precision or 65}, {type.scale if type.precision else 30})"
        if isinstance(type, DateTime):
            return "DATETIME(6)"
        if isinstance(type, Date):
            return "DATE"
        if isinstance(type, Time):
            return "TIME(6)"
        return "DOUBLE" if isinstance(type, Float) else "CHAR CHARACTER SET utf8mb4"

    def function_length(self, node: Function[Any]) -> str:
        return self.call(node, "CHAR_LENGTH")  # LENGTH counts bytes

    # Time.

    def function_now(self, node: Function[Any]) -> str:
        return self.dialect.current_timestamp(TIMESTAMP)

    def function_current_date(self, node: Function[Any]) -> str:
        return self.dialect.current_timestamp(DATE)

    # Aggregates.

    def call(self, node: Function[Any], name: Optional[str] = None) -> str:
        if not node.condition:
            return super().call(node, name)
        # There is no FILTER: what the condition leaves out becomes NULL, which aggregates skip.
        if len(node.arguments) > 1 or node.order:
            raise CapabilityError(f"mysql cannot filter the rows of {node.name}()")
        argument = self.render(node.arguments[0]) if node.arguments else "1"
        (condition,) = node.condition
        distinct = "DISTINCT " if node.distinct else ""
        return f"{name or node.name}({distinct}CASE WHEN {self.truth(condition)} THEN {argument} END)"

    def function_string_agg(self, node: Function[Any]) -> str:
        if node.condition:
            raise CapabilityError("mysql cannot filter the rows of string_agg()")
        value, separator = [self.render(each) for each in node.arguments]
        order = f" ORDER BY {', '.join([self.render(each) for each in node.order])}" if node.order else ""
        return f"GROUP_CONCAT({'DISTINCT ' if node.distinct else ''}{value}{order} SEPARATOR {separator})"

    def _narrowed(self, node: Function[Any]) -> str:
        text = self.call(node)
        if self.windowed or not isinstance(node.type, (Integer, Float, Interval)):
            return text
        return f"CAST({text} AS {self.cast_type(node.type)})"

    function_sum = function_avg = _narrowed

    def render_windowed(self, node: Windowed[Any]) -> str:
        self.windowed = True
        try:
            text = super().render_windowed(node)
        finally:
            self.windowed = False
        function: Any = node.function
        if function.name in ("sum", "avg") and isinstance(function.type, (Integer, Float, Interval)):
            return f"CAST({text} AS {self.cast_type(function.type)})"
        return text

    # JSON.

    def render_json_item(self, node: JsonItem[Any]) -> str:
        text = self.render(node.expression)
        path = self.param(self.take(), _json_path)
        if node.type is None or isinstance(node.type, Json):
            return f"JSON_EXTRACT({text}, {path})"
        item = f"JSON_UNQUOTE(NULLIF(JSON_EXTRACT({text}, {path}), {self._json_null()}))"
        if isinstance(node.type, Boolean):
            return f"(CASE {item} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)"
        if isinstance(node.type, Integer):
            return f"CAST(TRUNCATE(CAST({item} AS DOUBLE), 0) AS SIGNED)"
        return f"CAST({item} AS {self.cast_type(node.type)})" if isinstance(node.type, Float) else item

    def _json_null(self) -> str:
        return "'null'" if self.mariadb else "CAST('null' AS JSON)"

    def operand(self, node: Expression[Any]) -> str:
        text = super().operand(node)
        native = not self.mariadb and is_document(node)
        return f"CAST({text} AS JSON)" if native and isinstance(node, Bind) else text

    def render_in_list(self, node: InList) -> str:
        if not is_document(node.expression):
            return super().render_in_list(node)
        left = self.operand(node.expression)
        documents = self.param(self.take(), _document_list(self.encoder(node.item)))
        value = "JSON_NORMALIZE(value)" if self.mariadb else "value"
        rows = f"JSON_TABLE({documents}, '$[*]' COLUMNS (value JSON PATH '$')) AS documents"
        return f"{left} {'NOT ' if node.negated else ''}IN (SELECT {value} FROM {rows})"

    def render_json_scalar(self, node: ScalarBind) -> str:
        mark = self.param(self.take(), json.dumps)
        return mark if self.mariadb else f"CAST({mark} AS JSON)"

    def render_comparison(self, node: Comparison) -> str:
        if self.mariadb and isinstance(node.right, ScalarBind) and isinstance(node.left, JsonItem):
            left = self.render(node.left)
            if node.op in ("=", "<>"):
                right = self.param(self.take(), json.dumps)
                # MariaDB takes a bare JSON_EQUALS that is NULL for true.
                return f"JSON_EQUALS({left}, {right}) = {int(node.op == '=')}"
            return f"JSON_VALUE({left}, '$') {node.op} {self.param(self.take())}"
        return super().render_comparison(node)

    def render_is_null(self, node: IsNull) -> str:
        text = self.render(node.expression)
        if isinstance(node.expression, JsonItem) and isinstance(node.expression.type, Json):
            text = f"NULLIF({text}, {self._json_null()})"
        return f"{text} IS {'NOT ' if node.negated else ''}NULL"


def _may_meet(key: Sequence[TableColumn], into: Sequence[TableColumn]) -> bool:
    """Whether new rows may meet others in a unique key: not where it holds a generated number or NULL."""
    left = [c for c in key if c not in into and c.server_default is None and c.generated is None]
    return not any(column.identity or column.nullable for column in left)


def _document_list(encoder: Any) -> Any:
    return lambda documents: f"[{','.join(map(encoder, documents))}]"


def _json_path(steps: tuple[Union[str, int], ...]) -> str:
    text = "$"
    for step in steps:
        if isinstance(step, int):
            if step < 0:
                raise QueryError("mysql cannot count the items of a JSON array from its end")
            text += f"[{step}]"
        else:
            text += '."' + step.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text
