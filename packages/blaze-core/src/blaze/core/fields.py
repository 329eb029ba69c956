"""The annotation of a column and the functions that give its options and those of relations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Generic,
    Literal,
    Optional,
    TypedDict,
    TypeVar,
    Union,
    overload,
)

from blaze.core.specs import NOT_REVERSE, FieldSpec, KeyColumnSpec, RelationSpec, refuse_unknown

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from blaze.core.relation_types import ForeignKey, ManyToMany, OneToMany, OneToOne
    from blaze.query.manager import Model
    from blaze.sql.columns import Column

T = TypeVar("T")
O = TypeVar("O", bound="Optional[Model]")  # noqa: E741 - an object or None

Target = Union[type["Model"], str, None]
OnDelete = Literal["CASCADE", "RESTRICT", "SET NULL", "SET DEFAULT", "NO ACTION"]


class Field(Generic[T]):
    """A column of a model. On the class it is a column expression, on an instance a `T`."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any], /) -> Column[T]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any], /) -> T: ...
        def __get__(self, instance: Any, owner: Any, /) -> Any: ...
        # One plain function of three parameters: mypy takes the constructor's parameter from its type.
        def __set__(self, instance: Any, value: T, /) -> None: ...


class FieldOptions(TypedDict, total=False):
    """The options of `field` that do not change the typed constructor."""

    unique: bool
    index: bool
    max_length: Optional[int]
    precision: Optional[int]
    scale: Optional[int]
    column: Optional[str]
    choices: Optional[Sequence[Any]]
    validators: Sequence[Callable[[Any], Any]]
    check: Optional[str]
    on_update: Optional[Callable[[], Any]]
    deferred: bool
    comment: Optional[str]
    type: Any
    timezone: bool


class ToOneOptions(TypedDict, total=False):
    """The options of `foreign_key` and `one_to_one` that do not change the typed constructor."""

    related_name: Optional[str]
    on_delete: OnDelete
    column: Union[str, Sequence[str], None]
    primary_key: bool
    unique: bool
    index: bool
    deferrable: bool
    comment: Optional[str]


# The order of the overloads matters: mypy's reading of dataclass_transform takes the first one whose keyword
# names (and literal truth values) fit the call, and its `init` says whether the typed constructor takes the
# field.
@overload
def field(
    *,
    default: T,
    primary_key: bool = False,
    server_default: Optional[str] = None,
    version: bool = False,
    init: bool = True,
    **options: Unpack[FieldOptions],
) -> Field[T]: ...
@overload
def field(
    *,
    default_factory: Callable[[], T],
    primary_key: bool = False,
    server_default: Optional[str] = None,
    init: bool = True,
    **options: Unpack[FieldOptions],
) -> Field[T]: ...
@overload
def field(
    *, primary_key: Literal[True], init: Literal[False] = False, **options: Unpack[FieldOptions]
) -> Field[Any]: ...
@overload
def field(
    *,
    server_default: str,
    primary_key: bool = False,
    init: Literal[False] = False,
    **options: Unpack[FieldOptions],
) -> Field[Any]: ...
@overload
def field(*, generated: str, init: Literal[False] = False, **options: Unpack[FieldOptions]) -> Field[Any]: ...
@overload
def field(
    *, version: Literal[True], init: Literal[False] = False, **options: Unpack[FieldOptions]
) -> Field[Any]: ...
@overload
def field(
    *,
    primary_key: bool = False,
    server_default: Optional[str] = None,
    generated: Optional[str] = None,
    version: bool = False,
    init: bool = True,
    **options: Unpack[FieldOptions],
) -> Field[Any]: ...
def field(**options: Any) -> Any:
    """Give the options of a column; the annotation gives its Python type, `Optional` makes it nullable.

    Values:

    - `default`: the value of an object that is made without one; a mutable one belongs in `default_factory`.
    - `default_factory`: a function without arguments that makes it, called once for each object.
    - `server_default`: an SQL expression by which the database fills the column when no value was given.
    - `generated`: an SQL expression that the database computes the column from; it is never written.
    - `on_update`: a function without arguments whose result every UPDATE stores: of a changed object, of a
      bulk operation, of `query.update()` and of `Update`. Statements call it once for all rows.
    - `version`: the column is the optimistic lock, an integer that starts at 1 and that every UPDATE raises
      and compares; `StaleDataError` says that another transaction was first.

    Checks, made before a save with all messages in one `ValidationError`:

    - `max_length`: the greatest number of characters of a `str`; without it any length fits.
    - `precision`, `scale`: the number of digits of a `Decimal`, and of those behind the point. A value that
      does not fit is refused, never rounded.
    - `choices`: the values that are allowed. `validators`: functions of one argument that raise `ValueError`
      or `ValidationError`.
    - `check`: an SQL condition that the database checks for every row (`CheckError`).

    Column:

    - `primary_key`: several fields with it make a composite key. A single integer key without default is
      generated by the database.
    - `unique`: no two rows have the same value (`UniqueError`). `index`: make an index.
    - `column`: the column's name, else it is that of the attribute. `comment`: a text for the database.
    - `type`: the column type, one of `blaze.dialects.types` or the name of an installed one (`blaze.types`),
      instead of what the Python type stands for.
    - `timezone`: False for naive `datetime` values; otherwise they are aware and stored in UTC.
    - `deferred`: the column is left out of queries and loaded when it is first read.
    - `init`: whether the typed constructor takes the field. Keys, versions and columns that the database
      fills are out unless `init=True`, everything else is in. `primary_key=True, init=True` is for keys that
      you give. At run time the constructor takes every field.

    Raises `TypeError` for an unknown option; a model whose options do not go together raises `ModelError`,
    which names model and field, when its class is made or first used.
    """
    return FieldSpec.of(options)


@overload
def key_column(*, init: Literal[False] = False) -> Field[Any]: ...
@overload
def key_column(*, init: bool) -> Field[Any]: ...
def key_column(*, init: bool = False) -> Any:
    """Declare the key column of a foreign key to have it typed: `author_id: Field[int] = key_column()`.

    It adds no column: the foreign key `author` has `author_id` anyway, and for a composite key one column
    `author_<key>` for each part. `init=True`, beside `foreign_key(init=False)`, makes the typed constructor
    take the key instead of the object.

    Raises `ModelError` when no foreign key of the model has a key column of that name.
    """
    return KeyColumnSpec(init=init)


@overload
def foreign_key(
    to: Target = None, *, default: O, init: bool = True, **options: Unpack[ToOneOptions]
) -> ForeignKey[O]: ...
@overload
def foreign_key(
    to: Target = None, *, init: bool = True, **options: Unpack[ToOneOptions]
) -> ForeignKey[Any]: ...
def foreign_key(to: Any = None, **options: Any) -> Any:
    """Relate many objects to one: `author: ForeignKey[Author] = foreign_key(related_name="books")`.

    `ForeignKey[Optional[Author]]` allows NULL. The key is readable and settable as `book.author_id`; a target
    with a composite key gives one column `<name>_<key>` for each part.

    - `to`: the target, a model or its name, when the annotation cannot say it.
    - `related_name`: the attribute of the target that lists these objects; the target may declare it as
      `OneToMany[...] = one_to_many()` to have it typed. Without a name there is no reverse side, unless the
      target declares one that can only mean this key.
    - `on_delete`: what the database does with these rows when their target is deleted: `"CASCADE"`,
      `"RESTRICT"`, `"SET NULL"`, `"SET DEFAULT"` (both need `Optional`: the default of a key column is NULL)
      or `"NO ACTION"`, which is the default and refuses the deletion (`ForeignKeyError`).
    - `column`: the name of the key column, a sequence of names for a composite key.
    - `primary_key`: the key is (part of) the primary key. `unique`: at most one object for each target.
    - `index`: False for no index on the key column.
    - `deferrable`: the database checks the key at commit only, where it can.
    - `default`: the object of a new row made without one, in practice None. `comment`: a text for the
      database.
    - `init`: whether the typed constructor takes the object; see `key_column`.

    Raises `TypeError` for an unknown option, `ModelError` for an unknown target, a taken reverse name or
    options that do not go together, when the models are first used.
    """
    return RelationSpec.of("foreign_key", {"to": to, **options})


@overload
def one_to_one(
    to: Target = None, *, default: O, init: bool = True, **options: Unpack[ToOneOptions]
) -> OneToOne[O]: ...
@overload
def one_to_one(
    to: Target = None, *, reverse: Literal[True], init: Literal[False] = False
) -> OneToOne[Any]: ...
@overload
def one_to_one(to: Target = None, *, init: bool = True, **options: Unpack[ToOneOptions]) -> OneToOne[Any]: ...
def one_to_one(to: Any = None, *, reverse: bool = False, **options: Any) -> Any:
    """Relate one object to one: `user: OneToOne[User] = one_to_one(related_name="profile")`.

    It is declared on the side that holds the key, which is unique. The options and errors are those of
    `foreign_key`; the attribute `related_name` of the target is the one object, or None. The target may
    declare that side, too, to have it typed:
    `profile: OneToOne[Optional["Profile"]] = one_to_one(reverse=True)`; it has no options of its own.
    """
    if reverse:
        refuse_unknown("one_to_one(reverse=True)", options, RelationSpec.__init__, NOT_REVERSE)
        return RelationSpec("reverse_one_to_one", to=to, init=options.get("init", False))
    return RelationSpec.of("one_to_one", {"to": to, **options})


def one_to_many(to: Target = None, *, init: Literal[False] = False) -> OneToMany[Any]:
    """Declare the reverse side of a foreign key to have it typed: `books: OneToMany["Book"] = one_to_many()`.

    It belongs to the foreign key of the target whose `related_name` it is, or to the only one that leads
    here.

    - `to`: the target, a model or its name, when the annotation cannot say it.
    - `init`: the typed constructor never takes the list.

    Raises `ModelError` when no foreign key of the target leads back here, when the models are first used.
    """
    return RelationSpec("one_to_many", to=to, init=init)  # type: ignore[return-value]


def many_to_many(
    to: Target = None,
    *,
    related_name: Optional[str] = None,
    through: Target = None,
    init: Literal[False] = False,
) -> ManyToMany[Any]:
    """Relate many objects to many through a join table: `tags: ManyToMany["Tag"] = many_to_many()`.

    - `to`: the target, a model or its name, when the annotation cannot say it.
    - `related_name`: the attribute of the target that is the other side. Declared on both sides it makes one
      table.
    - `through`: the join table: its name, or a model with one foreign key to each side, which may have
      columns of its own. Without it the table is `<table>_<name>`, its rows die with either side.
    - `init`: the typed constructor never takes the list.

    Raises `ModelError` for an unknown target, a taken reverse name or a `through` model that does not lead to
    both sides, when the models are first used.
    """
    return RelationSpec("many_to_many", to=to, related_name=related_name, through=through, init=init)  # type: ignore[return-value]
