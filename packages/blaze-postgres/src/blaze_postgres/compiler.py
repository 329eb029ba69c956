"""Where PostgreSQL's SQL differs from the default."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Optional, Union, cast

from blaze.dialects.types import Array, Boolean, Date, DateTime, Float, Integer, Json, Numeric, SQLType, Time
from blaze.sql.compiler import Compiler
from blaze.sql.json_items import JsonItem
from blaze.sql.raw import RawList
from blaze.sql.render import list_encoder
from blaze.sql.values import DATE, NULL, TIMESTAMP
from blaze_postgres.batches import writer_of
from blaze_postgres.codecs import stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blaze.sql.expressions import Arithmetic, Bind, Cast, InList, IsNull, Literal
    from blaze.sql.functions import Function
    from blaze.sql.json_items import ScalarBind
    from blaze.sql.raw import Raw
    from blaze.sql.windows import Windowed
    from blaze_postgres.dialect import PostgresDialect

_IN = re.compile(r"\b(NOT\s+)?IN\s*\Z", re.IGNORECASE)


class PostgresCompiler(Compiler):
    """Lists are arrays, JSON is JSONB, and parameters of server-side statements say their type."""

    materialized_hint = True
    windowed = False

    def type_name(self, type: SQLType) -> str:
        """Return the name of a type inside a cast."""
        return cast("PostgresDialect", self.dialect).type_name(type)

    cast_type = type_name

    # Binds: asyncpg has the server infer their types, which sees too little of `$1 + $2` or `SELECT $1`.
    # psycopg2 writes values into the text: floats as decimals, and round decimals as whole numbers.

    def render_bind(self, node: Union[Bind[Any], Literal[Any]]) -> str:
        mark = super().render_bind(node)
        if node.type in (None, NULL) or not (
            self.dialect.paramstyle == "numeric" or isinstance(stored(node.type), (Float, Numeric))
        ):
            return mark
        return f"CAST({mark} AS {self.type_name(node.type)})"

    def render_in_list(self, node: InList) -> str:
        left = self.operand(node.expression)
        if isinstance(stored(node.item), Array):
            return f"{left} {'NOT ' if node.negated else ''}IN ({self._arrays(self.take(), node.item)})"
        mark = self._list(self.take(), node.item)
        return f"{left} <> ALL({mark})" if node.negated else f"{left} = ANY({mark})"

    def raw_text(self, node: Raw[Any]) -> str:
        """Compare with arrays where a template says IN: of an empty list nothing else knows the type."""
        texts: list[str] = []
        for piece in node.pieces:
            if isinstance(piece, str):
                texts.append(piece)
                continue
            before = _IN.search(texts[-1]) if isinstance(piece, RawList) and texts else None
            if before is None:
                texts.append(self.render(piece))
                continue
            texts[-1] = texts[-1][: before.start()]
            if piece.type is not None:
                mark = self._list(self.take(), piece.type)
            else:
                as_text = self.dialect.paramstyle == "format"
                mark = self.param(self.take(), _null_array if as_text else list)
            texts.append(f"<> ALL({mark})" if before[1] else f"= ANY({mark})")
        return "".join(texts)

    def list_query(self, start: int, item: Optional[SQLType]) -> str:
        return f"SELECT unnest({self._list(start, item)})"

    def _list(self, start: int, item: Optional[SQLType]) -> str:
        mark = self.param(start, list_encoder(self.encoder(item)))
        return mark if item is None else f"CAST({mark} AS {self.type_name(item)}[])"

    def _arrays(self, start: int, item: SQLType) -> str:
        """Render the query that gives arrays: an array of arrays would compare as its items do."""
        dialect = cast("PostgresDialect", self.dialect)
        encode, write = self.encoder(item), writer_of(dialect, item)
        assert encode is not None
        mark = self.param(start, lambda values: write(list(map(encode, values))))
        return f"SELECT CAST(item AS {dialect.open_type(item)}) FROM unnest(CAST({mark} AS TEXT[])) AS item"

    # Casts: days and times of day are those in UTC, whatever the zone of the server's session.

    def render_cast(self, node: Cast[Any]) -> str:
        source, target = node.expression.type, node.type
        assert target is not None
        text, name = self.render(node.expression), self.cast_type(target)
        if isinstance(source, Boolean) and isinstance(target, Integer):
            text = f"CAST({text} AS INTEGER)"  # there is no cast to the other sizes
        elif _is_aware(source) and isinstance(target, (Date, Time, DateTime)) and not _is_aware(target):
            text = f"({text} AT TIME ZONE 'UTC')"
        elif isinstance(source, (Date, DateTime)) and not _is_aware(source) and _is_aware(target):
            return f"(CAST({text} AS TIMESTAMP) AT TIME ZONE 'UTC')"
        return f"CAST({text} AS {name})"

    def render_arithmetic(self, node: Arithmetic[Any]) -> str:
        if node.op != "%" or node.type is None or not isinstance(stored(node.type), Float):
            return super().render_arithmetic(node)
        left, right = self.render(node.left), self.render(node.right)  # only exact numbers have a remainder
        return f"CAST(CAST({left} AS NUMERIC) % CAST({right} AS NUMERIC) AS DOUBLE PRECISION)"

    # Texts.

    def lowered(self, text: str) -> str:
        return f'lower({text} COLLATE "und-x-icu")'

    def function_lower(self, node: Function[Any]) -> str:
        return f'lower({self.render(node.arguments[0])} COLLATE "und-x-icu") COLLATE "C"'

    def function_upper(self, node: Function[Any]) -> str:
        return f'upper({self.render(node.arguments[0])} COLLATE "und-x-icu") COLLATE "C"'

    # These take an INTEGER where a BIGINT comes.

    def _counted(self, node: Function[Any]) -> str:
        first, *counts = [self.render(each) for each in node.arguments]
        if not counts and node.name == "ntile":
            return f"ntile(CAST({first} AS INTEGER))"
        return f"{node.name}({', '.join([first, *[f'CAST({count} AS INTEGER)' for count in counts]])})"

    function_substr = function_lag = function_lead = function_ntile = _counted

    # Time.

    def function_now(self, node: Function[Any]) -> str:
        return self.dialect.current_timestamp(TIMESTAMP)

    def function_current_date(self, node: Function[Any]) -> str:
        return self.dialect.current_timestamp(DATE)

    def _part(self, node: Function[Any]) -> str:
        part = node.name.partition("_")[2].upper()
        return f"CAST(floor(EXTRACT({part} FROM {self.render(node.arguments[0])})) AS BIGINT)"

    function_extract_year = function_extract_month = function_extract_day = _part
    function_extract_hour = function_extract_minute = function_extract_second = _part

    # Aggregates of whole numbers are NUMERIC here; the types of the expressions are what users expect.

    def _narrowed(self, node: Function[Any]) -> str:
        text = self.call(node)
        if self.windowed or not isinstance(node.type, (Integer, Float)):
            return text
        return f"CAST({text} AS {self.type_name(node.type)})"

    function_sum = function_avg = _narrowed

    def render_windowed(self, node: Windowed[Any]) -> str:
        self.windowed = True
        try:
            text = super().render_windowed(node)
        finally:
            self.windowed = False
        function: Any = node.function
        if function.name in ("sum", "avg") and isinstance(function.type, (Integer, Float)):
            return f"CAST({text} AS {self.type_name(function.type)})"
        return text

    def function_round(self, node: Function[Any]) -> str:
        if len(node.arguments) == 1:
            return self.call(node)
        value, places = [self.render(each) for each in node.arguments]
        if not isinstance(node.type, Float):
            return f"round({value}, CAST({places} AS INTEGER))"
        return f"CAST(round(CAST({value} AS NUMERIC), CAST({places} AS INTEGER)) AS DOUBLE PRECISION)"

    # JSON.

    def render_json_item(self, node: JsonItem[Any]) -> str:
        text = self.render(node.expression)
        path = f"CAST({self.param(self.take(), _steps)} AS TEXT[])"
        if node.type is None or isinstance(node.type, Json):
            return f"({text} #> {path})"
        item = f"({text} #>> {path})"
        if isinstance(node.type, Integer):
            return f"CAST(trunc(CAST({item} AS NUMERIC)) AS BIGINT)"
        name = self.type_name(node.type)
        return item if name == "TEXT" else f"CAST({item} AS {name})"

    def render_json_scalar(self, node: ScalarBind) -> str:
        return f"CAST({self.param(self.take(), json.dumps)} AS JSONB)"

    def render_is_null(self, node: IsNull) -> str:
        text = self.render(node.expression)
        if isinstance(node.expression, JsonItem) and isinstance(node.expression.type, Json):
            text = f"NULLIF({text}, 'null'::jsonb)"
        return f"{text} IS {'NOT ' if node.negated else ''}NULL"


def _null_array(values: Sequence[None]) -> str:
    """Give the array of a list that is empty or all NULL, whose type the server sees."""
    return f"{{{','.join(['NULL'] * len(values))}}}"


def _steps(path: tuple[Union[str, int], ...]) -> list[str]:
    return [str(step) for step in path]


def _is_aware(type: Optional[SQLType]) -> bool:
    return isinstance(type, DateTime) and type.timezone
