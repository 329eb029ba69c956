"""The annotation of a column and the functions that give its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from blaze.core.specs import FieldSpec, KeyColumnSpec, RelationSpec

if TYPE_CHECKING:
    from blaze.sql.columns import Column

T = TypeVar("T")


class Field(Generic[T]):
    """A column of a model. On the class it is a column expression, on an instance a `T`."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: Any) -> Column[T]: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> T: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
        def __set__(self, instance: Any, value: T) -> None: ...


def field(**options: Any) -> Any:
    return FieldSpec(**options)


def key_column(*, init: bool = False) -> Any:
    return KeyColumnSpec(init=init)


def foreign_key(to: Any = None, **options: Any) -> Any:
    return RelationSpec("foreign_key", to=to, **options)


def one_to_one(to: Any = None, **options: Any) -> Any:
    return RelationSpec("one_to_one", to=to, **options)


def one_to_many(to: Any = None, **options: Any) -> Any:
    return RelationSpec("one_to_many", to=to, **options)


def many_to_many(to: Any = None, **options: Any) -> Any:
    return RelationSpec("many_to_many", to=to, **options)
