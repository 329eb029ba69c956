"""What a class body says about its attributes, before the registry has resolved anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Callable, Optional

from blaze.errors import UnknownOptionError
from blaze.utils.naming import suggest


class Unset:
    """The type of `UNSET`: no value was given (`None` is a value)."""

    _instance: Optional[Unset] = None

    def __new__(cls) -> Unset:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> tuple[type[Unset], tuple[()]]:
        return Unset, ()


UNSET: Any = Unset()


class FieldSpec:
    """The options of one `field(...)`; see `blaze.field` for their meaning."""

    def __init__(
        self,
        *,
        default: Any = UNSET,
        default_factory: Optional[Callable[[], Any]] = None,
        server_default: Optional[str] = None,
        primary_key: bool = False,
        unique: bool = False,
        index: bool = False,
        max_length: Optional[int] = None,
        precision: Optional[int] = None,
        scale: Optional[int] = None,
        column: Optional[str] = None,
        choices: Optional[Sequence[Any]] = None,
        validators: Sequence[Callable[[Any], Any]] = (),
        check: Optional[str] = None,
        generated: Optional[str] = None,
        version: bool = False,
        on_update: Optional[Callable[[], Any]] = None,
        deferred: bool = False,
        comment: Optional[str] = None,
        type: Any = None,
        timezone: bool = True,
        init: Optional[bool] = None,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.server_default = server_default
        self.primary_key = primary_key
        self.unique = unique
        self.index = index
        self.max_length = max_length
        self.precision = precision
        self.scale = scale
        self.column = column
        self.choices = choices
        self.validators = validators
        self.check = check
        self.generated = generated
        self.version = version
        self.on_update = on_update
        self.deferred = deferred
        self.comment = comment
        self.type = type
        self.timezone = timezone
        self.init = init

    @classmethod
    def of(cls, options: dict[str, Any]) -> FieldSpec:
        """Make it from the options of `field`; raise `UnknownOptionError` for one that there is not."""
        refuse_unknown("field()", options, cls.__init__, ())
        return cls(**options)


class KeyColumnSpec:
    """A declared key column of a foreign key: `author_id: Field[int] = key_column()`."""

    def __init__(self, *, init: bool = False) -> None:
        self.init = init


class RelationSpec:
    """The options of one relation; `kind` is `foreign_key`, `one_to_one`, `one_to_many` or `many_to_many`."""

    def __init__(
        self,
        kind: str,
        *,
        to: Any = None,
        related_name: Optional[str] = None,
        on_delete: str = "NO ACTION",
        column: Any = None,
        through: Any = None,
        primary_key: bool = False,
        unique: bool = False,
        index: bool = True,
        deferrable: bool = False,
        default: Any = UNSET,
        comment: Optional[str] = None,
        init: Optional[bool] = None,
    ) -> None:
        self.kind = kind
        self.to = to
        self.related_name = related_name
        self.on_delete = on_delete
        self.column = column
        self.through = through
        self.primary_key = primary_key
        self.unique = unique
        self.index = index
        self.deferrable = deferrable
        self.default = default
        self.comment = comment
        self.init = init

    @classmethod
    def of(cls, kind: str, options: dict[str, Any]) -> RelationSpec:
        """Make it from the options of `foreign_key` or `one_to_one`; raise `UnknownOptionError`."""
        refuse_unknown(f"{kind}()", options, cls.__init__, ("through",))
        return cls(kind, **options)


# The options that the reverse side of a relation does not have: it holds no key.
NOT_REVERSE = tuple(name for name in RelationSpec.__init__.__kwdefaults__ or () if name not in ("to", "init"))


def refuse_unknown(what: str, given: Iterable[str], function: Any, without: tuple[str, ...]) -> None:
    """Raise `UnknownOptionError` for the first option that the function has no keyword for."""
    known = [name for name in function.__kwdefaults__ if name not in without]
    for name in given:
        if name not in known:
            raise UnknownOptionError(f"{what} has no option {name!r}{suggest(name, known)}")


class PartialSnapshot(tuple):  # type: ignore[type-arg]
    """The snapshot of an instance of which some columns were not loaded: those places hold `UNSET`."""

    __slots__ = ()
