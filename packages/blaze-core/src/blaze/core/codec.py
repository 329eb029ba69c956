"""What a model needs to talk to one dialect: loaders, takers and the statements by key, made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.inheritance import family_attributes
from blaze.core.loaders import (
    Shape,
    default_attributes,
    make_child_loader,
    make_entity_loader,
    make_keyed_loader,
)
from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.core.takers import make_differ, make_row_taker, make_sameness, make_taker
from blaze.core.unreadable import unreadable
from blaze.errors import DataError
from blaze.sql.builders import InsertBuilder, SelectBuilder
from blaze.sql.columns import Column
from blaze.sql.keyed import (
    Keyed,
    batch_columns,
    beside_marks,
    delete_by_key,
    placeholder,
    table_name,
    update_by_key,
)

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.dialects.batches import Batch
    from blaze.dialects.dialect import Dialect
    from blaze.sql.table import Table, TableColumn

Attributes = Sequence["Attribute"]


class ModelCodec:
    """The generated functions and statement texts of one model for one dialect."""

    def __init__(self, mapper: Mapper, dialect: Dialect) -> None:
        for member in mapper.family():
            mapper.registry.configure(member)
        if mapper.criterion is not None:
            mapper.criterion.sealed = True
        self.mapper = mapper
        self.dialect = dialect
        self.attributes = default_attributes(mapper)
        self.shape = Shape(mapper, self.attributes)
        self.load = make_entity_loader(self.shape, dialect)
        self.columns = tuple(mapper.column_at(mapper.source, a) for a in self.attributes)
        self._takers: dict[Any, Callable[[Any], list[Any]]] = {}
        self._inserts: dict[Any, str] = {}
        self._keyed_inserts: dict[Any, Keyed] = {}
        self._batches: dict[Any, Optional[Batch]] = {}
        self._updates: dict[Any, Keyed] = {}
        self._keyed: dict[Any, Callable[..., Any]] = {}
        self._diff = make_differ(mapper, False)
        self._careful_diff = make_differ(mapper, True)
        self._get: Optional[tuple[str, Callable[[Any], tuple[Any, ...]]]] = None
        self._decoders = {a: dialect.decoder(a.type) for a in family_attributes(mapper)}
        self._encoders = {a: dialect.encoder(a.type) for a in mapper.columns}
        self._pk_encoders = tuple(dialect.encoder(a.type) for a in mapper.pk)
        self._plain_key = self._pk_encoders == (None,)
        self.delete_keyed = delete_by_key(
            dialect, mapper.table, mapper.table.primary_key, mapper.version_column
        )

    # --- reading ----------------------------------------------------------------------------------

    def get(self) -> tuple[str, Callable[[Any], tuple[Any, ...]]]:
        """Return the SELECT by primary key and the function from a key to its parameters."""
        if self._get is None:
            source = self.mapper.source
            builder = SelectBuilder(source).columns(*self.columns)
            for attribute in self.mapper.pk:
                builder.where(Column(source, attribute.column) == placeholder(attribute.type))
            compiled = self.dialect.compiler(self.dialect).compile(builder.build())
            self._get = (compiled.sql, self.key_params)
        return self._get

    def key_params(self, key: Any) -> tuple[Any, ...]:
        """Return a primary key as statement parameters."""
        if self._plain_key:
            return (key,)
        values = key if len(self._pk_encoders) > 1 else (key,)
        return tuple(
            value if encoder is None else encoder(value) for encoder, value in zip(self._pk_encoders, values)
        )

    def keys_params(self, keys: list[Any]) -> list[tuple[Any, ...]]:
        """Return primary keys as statement parameters."""
        return [(key,) for key in keys] if self._plain_key else list(map(self.key_params, keys))

    def keyed_loader(self, key: Attributes, attributes: Attributes = ()) -> Callable[..., Any]:
        """Return the loader of rows that end in the key of an owner."""
        wanted = tuple(attributes) or self.attributes
        cached = (wanted, tuple(key))
        found = self._keyed.get(cached)
        if found is None:
            shape = Shape(self.mapper, wanted)
            found = self._keyed[cached] = make_keyed_loader(shape, self.dialect, key)
        return found

    def child_loader(self, inverse: Relation) -> Callable[..., Any]:
        """Return the loader of rows on the many side of a relation."""
        found = self._keyed.get(inverse)
        if found is None:
            found = self._keyed[inverse] = make_child_loader(self.shape, self.dialect, inverse)
        return found

    # --- writing ----------------------------------------------------------------------------------

    def taker(self, attributes: tuple[Attribute, ...], flat: bool) -> Callable[[Any], list[Any]]:
        """Return the function that checks instances and takes these attributes' parameters."""
        found = self._takers.get((attributes, flat))
        if found is None:
            found = self._takers[attributes, flat] = make_taker(self.mapper, self.dialect, attributes, flat)
        return found

    def insert_sql(
        self,
        attributes: tuple[Attribute, ...],
        returning: tuple[Attribute, ...],
        rows: int,
        table: Optional[Table] = None,
    ) -> str:
        """Return the INSERT of so many rows into the model's table, or into another one of its tables."""
        cached = (attributes, returning, rows, table)
        found = self._inserts.get(cached)
        if found is None:
            table = table or self.mapper.table
            builder = InsertBuilder(table, [own_column(table, a) for a in attributes], rows)
            builder.plain([None] * (rows * len(attributes)))
            if returning:
                builder.returning(*[own_column(table, a) for a in returning])
            found = self.dialect.compiler(self.dialect).compile(builder.build()).sql
            if len(self._inserts) >= 256:  # a text for every count of rows would grow without bound
                self._inserts.clear()
            self._inserts[cached] = found
        return found

    def insert_keyed(self, attributes: tuple[Attribute, ...], table: Optional[Table] = None) -> Keyed:
        """Return the INSERT of rows of which nothing has to come back."""
        cached = (attributes, table)
        found = self._keyed_inserts.get(cached)
        if found is None:
            sql = self.insert_sql(attributes, (), 1, table)
            batch = self.insert_batch(attributes, (), table)
            table = table or self.mapper.table
            columns = [own_column(table, a) for a in attributes]
            copied = [
                column._replace(name=c.name)
                for column, c in zip(batch_columns(self.dialect, columns), columns)
            ]
            copy = self.dialect.copy_target(table.schema, table.name, copied) if copied else None
            found = self._keyed_inserts[cached] = Keyed(sql, batch, -1, copy)
        return found

    def insert_batch(
        self,
        attributes: tuple[Attribute, ...],
        returning: tuple[Attribute, ...],
        table: Optional[Table] = None,
    ) -> Optional[Batch]:
        """Return the INSERT of many rows at once, where the dialect has one."""
        if not attributes:
            return None
        cached = (attributes, returning, table)
        try:
            return self._batches[cached]
        except KeyError:
            pass
        table = table or self.mapper.table
        columns = batch_columns(self.dialect, [own_column(table, a) for a in attributes])
        names = [each.name for each in batch_columns(self.dialect, [own_column(table, a) for a in returning])]
        ending = f" RETURNING {', '.join(names)}" if names else ""
        target = beside_marks(self.dialect, table_name(self.dialect, table))
        found = self.dialect.insert_batch(target, columns, ending)
        self._batches[cached] = found
        return found

    def update_keyed(self, attributes: tuple[Attribute, ...], versioned: bool = True) -> Keyed:
        """Return the UPDATE of one row by its key, and by its version unless that is left out."""
        found = self._updates.get((attributes, versioned))
        if found is None:
            table = attributes[0].column.table
            found = self._updates[attributes, versioned] = update_by_key(
                self.dialect,
                table,
                [a.column for a in attributes],
                table.primary_key,
                self.mapper.version_column if versioned and table is self.mapper.table else None,
            )
        return found

    def sameness(self, written: tuple[Attribute, ...]) -> Callable[[Any, Any], bool]:
        """Return the function that tells whether a changed, complete object differs in these columns only."""
        found: Any = self._takers.get((written, "same"))
        if found is None:
            found = self._takers[written, "same"] = make_sameness(self.mapper, written)
        return found  # type: ignore[no-any-return]

    def diff(self, instance: Any, old: tuple[Any, ...]) -> list[int]:
        """Return the indexes of the changed columns, mutable ones included."""
        if old.__class__ is tuple:
            changed: list[int] = self._diff(instance, old)
        else:
            changed = self._careful_diff(instance, old)
        for index in self.mapper.mutable_indexes:
            if self.mutable_changed(instance, index):
                changed.append(index)
        return changed

    def mutable_changed(self, instance: Any, index: int) -> bool:
        """Whether a value that changes in place is no longer what the database holds."""
        attribute = self.mapper.columns[index]
        value = attribute.peek(instance)
        if value is UNSET:
            return False
        raw = attribute.peek_raw(instance)
        if raw is UNSET or value is None:
            return (raw is UNSET) != (value is None)
        if not isinstance(value, attribute.type.accepts):
            return True  # an empty dict may be written as an empty list is
        # Texts are compared and not values, since True equals 1. Other programs may write the same
        # differently.
        try:
            written = self.encode(attribute, value)
        except (DataError, TypeError, ValueError, AttributeError):
            return True  # it changed into what cannot be stored: the check before the write says why
        return bool(written != raw and written != self.encode(attribute, self.decode(attribute, raw)))

    def decode(self, attribute: Attribute, raw: Any) -> Any:
        """Return the Python value of a column as the driver gave it."""
        decoder = self._decoders[attribute]
        if decoder is None or raw is None:
            return raw
        try:
            return decoder(raw)
        except Exception as error:
            what = f"{self.mapper.name}.{attribute.name}"
            raise unreadable(what, attribute.type, raw, attribute.column.name, error) from error

    def overwrite(self, instance: Any, row: Sequence[Any]) -> None:
        """Put a row of the default columns into a clean instance and forget its loaded relations."""
        mapper = self.mapper
        for attribute, value in zip(self.attributes, row):
            if attribute in mapper.columns:  # and not of a model that derives from this one
                self.store(instance, attribute, value)
        for relation in mapper.relations.values():
            if relation.owns_key:
                clear_slot(mapper, instance, relation.slot)
        mapper.set_extra(instance, None)

    def store(self, instance: Any, attribute: Attribute, value: Any) -> None:
        """Put a value as the driver gave it into an instance, past the tracking of changes."""
        if not attribute.mutable:
            attribute.set(instance, self.decode(attribute, value))
            return
        clear_slot(self.mapper, instance, attribute.slot)
        clear_slot(self.mapper, instance, str(attribute.raw_slot))
        if value is None:
            attribute.set(instance, None)
        else:
            attribute.raw_set(instance, value)

    def row_taker(self, attributes: tuple[Attribute, ...]) -> Callable[[Any], list[Any]]:
        """Return the function that checks and encodes rows of plain values."""
        found = self._takers.get((attributes, "rows"))
        if found is None:
            found = self._takers[attributes, "rows"] = make_row_taker(self.mapper, self.dialect, attributes)
        return found

    def encode(self, attribute: Attribute, value: Any) -> Any:
        """Return a value as the driver takes it."""
        encoder = self._encoders[attribute]
        return value if encoder is None or value is None else encoder(value)


def own_column(table: Table, attribute: Attribute) -> TableColumn:
    """Return the column of an attribute in a table; all tables of a hierarchy have the key columns."""
    column = attribute.column
    return column if column.table is table else table.by_name[column.name]
