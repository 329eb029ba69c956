"""Mapped attributes: one column of a model, resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.specs import UNSET, FieldSpec
from blaze.security.redaction import redactor

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.dialects.types import SQLType
    from blaze.sql.table import TableColumn


class Attribute:
    """A column attribute of a model.

    `slot` is where instances store the value: the name itself, or a hidden slot behind a property for key
    columns of relations. `raw_slot` holds the undecoded value of a mutable type (JSON, arrays) until it is
    read.
    """

    __slots__ = (
        "column",
        "get",
        "key_of",
        "keys_of",
        "mutable",
        "name",
        "nullable",
        "owner",
        "raw_get",
        "raw_set",
        "raw_slot",
        "set",
        "slot",
        "spec",
        "type",
    )

    def __init__(self, name: str, spec: FieldSpec, type: SQLType, nullable: bool) -> None:
        self.name = name
        self.spec = spec
        self.type = type
        self.nullable = nullable
        self.slot = name
        self.mutable = type.python_type in (dict, list)
        self.raw_slot: Optional[str] = f"_raw_{name}" if self.mutable else None
        self.key_of: Optional[Relation] = None  # the first of `keys_of`
        self.keys_of: tuple[Relation, ...] = ()
        self.owner: Mapper  # the model that declares it; those derived from it share the attribute
        self.column: TableColumn
        # The slot's own accessors: they bypass properties, change tracking and `__getattr__`.
        self.get: Callable[..., Any]
        self.set: Callable[[Any, Any], None]
        self.raw_get: Callable[..., Any]
        self.raw_set: Callable[[Any, Any], None]

    unset = UNSET

    def __repr__(self) -> str:
        return f"<attribute {self.name}>"

    def peek(self, instance: Any) -> Any:
        """Return the stored value without loading anything; `UNSET` when the slot is empty."""
        try:
            return self.get(instance)
        except (AttributeError, TypeError):  # TypeError: an object of another class of the hierarchy
            return UNSET

    def peek_raw(self, instance: Any) -> Any:
        """Return the undecoded value of a mutable attribute; `UNSET` when there is none."""
        try:
            return self.raw_get(instance)
        except (AttributeError, TypeError):
            return UNSET

    @property
    def guarded_name(self) -> str:
        """The name that tells whether values may be shown: that of the column where it is sensitive."""
        column = self.spec.column
        return column if column is not None and redactor.is_sensitive(column) else self.name

    @property
    def server_generated(self) -> bool:
        """Whether the database supplies the value when none is given."""
        return bool(
            self.column.identity or self.spec.server_default is not None or self.spec.generated is not None
        )
