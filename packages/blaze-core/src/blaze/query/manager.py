"""`Model.objects`: queries in the current session."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from blaze.core.model import ModelBase
from blaze.query.context import require_session
from blaze.query.query_set import QuerySet

M = TypeVar("M")


class Manager(Generic[M]):
    """The starting point of queries for one model; every query method works on it.

    It finds the session bound by `with session:` and raises `NoSessionError` without one. Derive from it for
    queries of your own and put an instance on the model: `objects = BookManager()`.
    """

    def __init__(self) -> None:
        self.model: Any = None

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is not None:
            raise AttributeError(f"objects belongs to the class: {owner.__name__}.objects")
        bound = type(self)()
        bound.__dict__.update(self.__dict__)
        bound.model = owner
        return bound

    def get_queryset(self) -> QuerySet[M]:
        """Return the query that everything starts from; override it to narrow it."""
        return require_session().query(self.model)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.get_queryset(), name)

    def __iter__(self) -> Any:
        return iter(self.get_queryset())

    def __getitem__(self, index: Any) -> Any:
        return self.get_queryset()[index]


class Model(ModelBase):
    """Base of all models.

    Declare columns as `Field[T]` and relations as `ForeignKey`, `OneToOne`, `OneToMany` and `ManyToMany`;
    without a primary key the model gets an integer `id`.
    """

    class Meta:
        abstract = True

    objects: ClassVar[Any] = Manager()
