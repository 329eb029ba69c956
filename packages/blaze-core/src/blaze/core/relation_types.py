"""The annotations of relations: what a type checker sees of them on class and instance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar, overload

if TYPE_CHECKING:
    from blaze.core.related_list import RelatedList

M = TypeVar("M")


class ForeignKey(Generic[M]):
    """A many-to-one relation. On the class it is a path typed as the target, on an instance the object."""

    if TYPE_CHECKING:

        @overload
        def __get__(self: ForeignKey[Optional[M]], instance: None, owner: Any) -> type[M]: ...
        @overload
        def __get__(self, instance: None, owner: Any) -> type[M]: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> M: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
        def __set__(self, instance: Any, value: M) -> None: ...


class OneToOne(ForeignKey[M], Generic[M]):
    """A one-to-one relation that holds the key."""


class OneToMany(Generic[M]):
    """The reverse side of a foreign key."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: Any) -> type[M]: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> RelatedList[M]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
        def __set__(self, instance: Any, value: Iterable[M]) -> None: ...


class ManyToMany(OneToMany[M], Generic[M]):
    """A many-to-many relation through a join table."""
