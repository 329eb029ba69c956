"""Values inside JSON values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional, Union

from blaze.dialects.types import Custom, Json, SQLType
from blaze.errors import QueryError
from blaze.sql.expressions import Bind, Expression, T, bind_for
from blaze.sql.selectable import Selectable
from blaze.sql.values import BOOLEAN, FLOAT, INTEGER, JSON, STRING


class ScalarBind(Bind[Any]):
    """The place of a plain value that is compared with a JSON item: text, number or truth value."""

    __slots__ = ()

    visit = "json_scalar"

    def __init__(self) -> None:
        super().__init__(JSON, "?scalar")
        self.fast = frozenset({str, int, bool})

    def refusal(self, value: Any) -> Optional[str]:
        if isinstance(value, (dict, list)):
            return "a JSON item is compared with a text, a number or a truth value"
        return super().refusal(value)


SCALAR = ScalarBind()


class JsonItem(Expression[T]):
    """A value inside a JSON value. The path is one bind; `as_*` reads the item as a plain SQL value."""

    __slots__ = ("expression", "path")

    visit = "json_item"
    parts = ("expression",)

    def __init__(
        self, expression: Expression[Any], path: tuple[Union[str, int], ...], type: Optional[SQLType] = None
    ) -> None:
        if type is None and not isinstance(expression.type, Json):
            raise QueryError(f"{expression.describe()} is {expression.type!r}, only JSON has items")
        for step in path:
            if step.__class__ is not str and step.__class__ is not int:
                raise QueryError(f"{step!r} is no step into {expression.describe()}: use a key or a position")
        self.expression = expression
        self.path = path
        self.type = type if type is not None else JSON
        self.binds = (*expression.binds, path)
        self.key = ("->", expression.key, bind_for(self.type).key if self.type is not None else None)

    @property
    def bind(self) -> Bind[Any]:
        return SCALAR if isinstance(self.type, Json) else super().bind

    def __getitem__(self, step: Union[str, int]) -> JsonItem[Any]:
        return JsonItem(self.expression, (*self.path, step))

    def in_(self, values: Union[Iterable[Any], Selectable]) -> Expression[bool]:
        self._require_type("in_()")
        return super().in_(values)

    def not_in(self, values: Union[Iterable[Any], Selectable]) -> Expression[bool]:
        self._require_type("not_in()")
        return super().not_in(values)

    def between(self, low: Any, high: Any) -> Expression[bool]:
        self._require_type("between()")
        return super().between(low, high)

    def _require_type(self, what: str) -> None:
        if isinstance(self.type, Json):
            raise QueryError(
                f"{what} of {self.describe()} needs a plain value: read it by as_text(), as_integer(), "
                "as_float() or as_boolean()"
            )

    def as_text(self) -> JsonItem[str]:
        """Read the item as text."""
        return JsonItem(self.expression, self.path, STRING)

    def as_integer(self) -> JsonItem[int]:
        """Read the item as an integer."""
        return JsonItem(self.expression, self.path, INTEGER)

    def as_float(self) -> JsonItem[float]:
        """Read the item as a float."""
        return JsonItem(self.expression, self.path, FLOAT)

    def as_boolean(self) -> JsonItem[bool]:
        """Read the item as a truth value."""
        return JsonItem(self.expression, self.path, BOOLEAN)


def is_document(node: Expression[Any]) -> bool:
    """Whether this is a whole JSON document: where it is kept as a text, equal ones may differ in it."""
    kind = node.type
    while isinstance(kind, Custom):
        kind = kind.storage
    return isinstance(kind, Json) and not isinstance(node, (JsonItem, ScalarBind))
