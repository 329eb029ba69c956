"""Where DuckDB's SQL differs from the default."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Optional, Union

from blaze.dialects.types import Binary, Custom, Integer, Json, Numeric, SQLType, String
from blaze.sql.compiler import Compiler
from blaze.sql.json_items import JsonItem
from blaze.sql.values import DATE, NULL, TIMESTAMP
from blaze_duckdb.codecs import PLACES, item_encoder

if TYPE_CHECKING:
    from blaze.sql.compiled import Encoder
    from blaze.sql.expressions import Arithmetic, Bind, InList, IsNull, Literal
    from blaze.sql.functions import Function
    from blaze.sql.json_items import ScalarBind
    from blaze.sql.rows import RowInList


class DuckDBCompiler(Compiler):
    """Parameters say their type, lists are one JSON text, averages of decimals are exact."""

    materialized_hint = True

    def typed(self, mark: str, type: Optional[SQLType]) -> str:
        """Give a parameter its type, which DuckDB would guess from the value."""
        return mark if type in (None, NULL) else f"CAST({mark} AS {self.cast_type(type)})"

    def render_bind(self, node: Union[Bind[Any], Literal[Any]]) -> str:
        return self.typed(super().render_bind(node), node.type)

    # Lists.

    def render_in_list(self, node: InList) -> str:
        left = self.operand(node.expression)
        return f"{left} {'NOT ' if node.negated else ''}IN ({self.list_query(self.take(), node.item)})"

    def list_query(self, start: int, item: Optional[SQLType]) -> str:
        if item is None:  # nobody knows as what the texts would be read
            return super().list_query(start, item)
        texts = self.param(start, _list_encoder(self.encoder(item)))
        source = f"SELECT unnest(CAST(CAST({texts} AS JSON) AS VARCHAR[])) AS v"
        return f"SELECT {self.item('v', item)} FROM ({source})"

    def render_row_in_list(self, node: RowInList) -> str:
        left = ", ".join([self.operand(item) for item in node.items])
        right = [self.item(f"v[{n}]", kind) for n, kind in enumerate(node.types, 1)]
        rows = self.param(self.take(), _rows_encoder([self.encoder(kind) for kind in node.types]))
        source = f"SELECT unnest(CAST(CAST({rows} AS JSON) AS VARCHAR[][])) AS v"
        return f"({left}) IN (SELECT {', '.join(right)} FROM ({source}))"

    def item(self, text: str, type: Optional[SQLType]) -> str:
        """Read an item of a list from its text."""
        storage = _storage(type)
        if storage is None or isinstance(storage, String):
            return text
        return (
            f"unhex({text})" if isinstance(storage, Binary) else f"CAST({text} AS {self.cast_type(storage)})"
        )

    # Numbers: decimals come out of divisions as floats.

    def render_arithmetic(self, node: Arithmetic[Any]) -> str:
        text = super().render_arithmetic(node)
        if node.op == "/" and isinstance(node.type, Numeric):
            return f"CAST({text} AS {self.cast_type(node.type)})"
        return text

    def function_avg(self, node: Function[Any]) -> str:
        if not isinstance(node.type, Numeric) or node.condition:
            return self.call(node)
        units = f"CAST({self.call(node, 'sum')} * 1{'0' * PLACES} AS HUGEINT)"
        self.cursor -= sum(len(each.binds) for each in node.arguments)
        unit = f"0.{'0' * (PLACES - 1)}1"
        return f"(CAST({units} // nullif({self.call(node, 'count')}, 0) AS DECIMAL(28, 0)) * {unit})"

    # Time.

    def function_now(self, node: Function[Any]) -> str:
        return self.dialect.current_timestamp(TIMESTAMP)

    def function_current_date(self, node: Function[Any]) -> str:
        return self.dialect.current_timestamp(DATE)

    # JSON.

    def render_json_item(self, node: JsonItem[Any]) -> str:
        text = self.render(node.expression)
        path = self.param(self.take(), _json_path)
        if node.type is None or isinstance(node.type, Json):
            return f"json_extract({text}, {path})"
        item = f"json_extract_string({text}, {path})"
        if isinstance(node.type, Integer):
            return f"CAST(trunc(CAST({item} AS DOUBLE)) AS BIGINT)"
        name = self.cast_type(node.type)
        return item if isinstance(node.type, String) else f"CAST({item} AS {name})"

    def render_json_scalar(self, node: ScalarBind) -> str:
        return f"CAST({self.param(self.take(), json.dumps)} AS JSON)"

    def render_is_null(self, node: IsNull) -> str:
        text = self.render(node.expression)
        if isinstance(node.expression, JsonItem) and isinstance(node.expression.type, Json):
            text = f"nullif({text}, CAST('null' AS JSON))"
        return f"{text} IS {'NOT ' if node.negated else ''}NULL"


def _storage(type: Optional[SQLType]) -> Optional[SQLType]:
    while isinstance(type, Custom):
        type = type.storage
    return type


def _list_encoder(encoder: Encoder) -> Encoder:
    write = item_encoder(encoder)
    return lambda values: json.dumps([write(value) for value in values])


def _rows_encoder(encoders: list[Encoder]) -> Encoder:
    writes = [item_encoder(encoder) for encoder in encoders]
    return lambda rows: json.dumps([[write(value) for write, value in zip(writes, row)] for row in rows])


def _json_path(steps: tuple[Union[str, int], ...]) -> str:
    """Write the path; a key with a quotation mark stands in a JSON pointer, which has no negative indexes."""
    if any(isinstance(step, str) and '"' in step for step in steps):
        return "".join([f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps])
    text = "$"
    for step in steps:
        text += f'."{step}"' if isinstance(step, str) else f"[{step}]" if step >= 0 else f"[#{step}]"
    return text
