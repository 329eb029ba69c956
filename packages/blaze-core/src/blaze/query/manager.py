"""`Model.objects`: queries in the current session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from blaze.core.model import ModelBase
from blaze.query.context import require_session

M = TypeVar("M", bound="Model")

if TYPE_CHECKING:
    from typing_extensions import Self

    from blaze.core.fields import Field, field
    from blaze.query.query_set import QuerySet

    class _Objects:
        """What `Model.objects` is declared as: each model sees a manager of its own."""

        def __get__(self, instance: None, owner: type[M], /) -> Manager[M]: ...

    class _Queries(_Objects, QuerySet[M]):
        """To a checker a manager is a query set; at run time it makes one for each call."""

        model: type[M]

        def __init__(self) -> None: ...
        def __get__(self, instance: None, owner: type[Any], /) -> Self: ...  # type: ignore[override]

else:
    _Queries = Generic


class Manager(_Queries[M]):
    """The starting point of queries for one model; every query method works on it.

    It finds the session bound by `with session:` and raises `NoSessionError` without one. Derive from it for
    queries of your own and put an instance on the model: `library: ClassVar[BookManager] = BookManager()`. It
    may replace `objects`, which pyright takes for a change of type; a name of its own it takes as it is.
    """

    def get_queryset(self) -> QuerySet[M]:
        """Return the query that everything starts from; override it to narrow it."""
        return require_session().query(self.model)  # type: ignore[no-any-return]

    if not TYPE_CHECKING:

        def __init__(self):
            self.model = None

        def __get__(self, instance, owner):
            if instance is not None:
                raise AttributeError(f"objects belongs to the class: {owner.__name__}.objects")
            bound = type(self)()
            bound.__dict__.update(self.__dict__)
            bound.model = owner
            return bound

        def __getattr__(self, name):
            if name.startswith("_"):
                raise AttributeError(name)
            return getattr(self.get_queryset(), name)

        def __iter__(self):
            return iter(self.get_queryset())

        def __getitem__(self, index):
            return self.get_queryset()[index]


class Model(ModelBase):
    """Base of all models.

    Declare columns as `Field[T]` and relations as `ForeignKey`, `OneToOne`, `OneToMany` and `ManyToMany`;
    without a primary key the model gets an integer `id`.
    """

    if TYPE_CHECKING:
        # The implicit key; a declared `id` of any type overrides it.
        id: Field[Any] = field(primary_key=True)
        objects: ClassVar[_Objects]
    else:

        class Meta:
            abstract = True

        objects: ClassVar[Any] = Manager()
