"""The annotations of relations: what a type checker sees of them on class and instance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar, overload

if TYPE_CHECKING:
    from blaze.core.related_list import RelatedList
    from blaze.query.manager import Model

M = TypeVar("M", bound="Model")
O = TypeVar("O", bound="Optional[Model]")  # noqa: E741 - an object or None


class _ToOne(Generic[O]):
    """What the relations to one object share: a path typed as the target on the class, the object on an
    instance.
    """

    if TYPE_CHECKING:
        # The overload for Optional comes first: otherwise the class would give type[Optional[...]].
        @overload
        def __get__(self: _ToOne[Optional[M]], instance: None, owner: type[Any], /) -> type[M]: ...
        @overload
        def __get__(self: _ToOne[M], instance: None, owner: type[Any], /) -> type[M]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any], /) -> O: ...
        def __get__(self, instance: Any, owner: Any, /) -> Any: ...
        def __set__(self, instance: Any, value: O, /) -> None: ...


class ForeignKey(_ToOne[O], Generic[O]):
    """A many-to-one relation: `ForeignKey[Author]`, or `ForeignKey[Optional[Author]]` when the key may be
    NULL.
    """


class OneToOne(_ToOne[O], Generic[O]):
    """A one-to-one relation, on the side that holds the key."""


class _ToMany(Generic[M]):
    """What the relations to many objects share: a path on the class, a `RelatedList` on an instance."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any], /) -> type[M]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any], /) -> RelatedList[M]: ...
        def __get__(self, instance: Any, owner: Any, /) -> Any: ...
        def __set__(self, instance: Any, value: Iterable[M], /) -> None: ...


class OneToMany(_ToMany[M], Generic[M]):
    """The reverse side of a foreign key."""


class ManyToMany(_ToMany[M], Generic[M]):
    """A many-to-many relation through a join table."""
