"""Write the DDL of tables in the words of a dialect."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Optional

from blaze.dialects.types import Date, DateTime, Time
from blaze.errors import CapabilityError, ModelError, QueryError
from blaze.schema.definitions import (
    CheckDefinition,
    Columns,
    ConstraintDefinition,
    ForeignKeyDefinition,
    IndexDefinition,
    IndexPart,
    TableDefinition,
    UniqueDefinition,
)
from blaze.schema.order import in_dependency_order, late_foreign_keys, refers_to_itself
from blaze.schema.reading import define_table, define_tables, mappers_of
from blaze.sql.keyed import table_name

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect
    from blaze.dialects.types import SQLType
    from blaze.sql.table import Table, TableColumn

__all__ = ["SchemaBuilder"]

_NOW = ("CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "NOW()")


class SchemaBuilder:
    """Give the DDL of models for one dialect, as text: nothing is executed.

    Every name is quoted; SQL text of models (`check`, `server_default`, `generated`, `Index(where=)`) is
    taken as written. Raises `ModelError` naming model and field for what cannot be created,
    `CapabilityError` for what the database does not have.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.features = dialect.features

    # Models

    def create_table_sql(self, model: type, *, if_not_exists: bool = False) -> str:
        """Return CREATE TABLE with all keys and constraints, without indexes and join tables."""
        return self.create_table(self._definition(model), if_not_exists=if_not_exists)

    def index_sql(self, model: type, *, if_not_exists: bool = False) -> list[str]:
        """Return one CREATE INDEX for each index of a model."""
        definition = self._definition(model)
        return [self.create_index(definition, index, if_not_exists) for index in definition.indexes]

    def comment_sql(self, model: type) -> list[str]:
        """Return the statements for the comments of a model; none where the database has no comments."""
        return self.comments(self._definition(model))

    def create_sql(self, models: Any, *, if_not_exists: bool = False) -> list[str]:
        """Return the statements that create the tables of models (one or several) in a working order.

        Join tables of the many-to-many relations that the models declare are among them. Where foreign keys
        go in a circle, the database is given the last ones afterwards if it can take them then; one that
        cannot looks for the target only when rows are written, so it gets them at once.
        """
        return self.create_tables(define_tables(models), if_not_exists=if_not_exists)

    def drop_sql(self, models: Any, *, if_exists: bool = False) -> list[str]:
        """Return the statements that drop the tables of models (one or several) and all their join tables.

        Rows and foreign keys between the tables do not stand in the way; a table outside that refers to one
        of them does.
        """
        return self.drop_tables(define_tables(models, reached=True), if_exists=if_exists)

    def _definition(self, model: type) -> TableDefinition:
        mappers = mappers_of(model)
        if not mappers:
            raise ModelError(f"{model.__module__}.{model.__qualname__}: is a view (Meta.view) and has no DDL")
        return define_table(mappers[0])

    # Definitions

    def create_tables(
        self, definitions: Sequence[TableDefinition], *, if_not_exists: bool = False
    ) -> list[str]:
        """Return the statements that create tables with indexes and comments; see `create_sql`."""
        ordered = in_dependency_order(definitions)
        late = self._late(ordered) if self.features.add_constraint else []
        skip = {key for _, key in late}
        found = []
        numbering = self.dialect.before_identity()
        if numbering is not None and any(key.identity for each in ordered for key in each.table.columns):
            found.append(numbering)
        found += self.dialect.create_types(_types(ordered))
        found += [self.create_table(each, skip=skip, if_not_exists=if_not_exists) for each in ordered]
        for each in ordered:
            found += [self.create_index(each, index, if_not_exists) for index in each.indexes]
        found += [self.add_foreign_key(definition, key) for definition, key in late]
        for each in ordered:
            found += self.comments(each)
        return found

    def drop_tables(self, definitions: Sequence[TableDefinition], *, if_exists: bool = False) -> list[str]:
        """Return the statements that drop tables and all that belongs to them; see `drop_sql`."""
        ordered = in_dependency_order(definitions)
        late = self._late(ordered)
        found = []
        if self.features.add_constraint:
            found += [self.drop_foreign_key(definition, key, if_exists) for definition, key in late]
        elif self.features.defer_foreign_keys and (late or any(map(refers_to_itself, ordered))):
            found.append(self.features.defer_foreign_keys)
        exists = "IF EXISTS " if if_exists else ""
        found += [f"DROP TABLE {exists}{self.table(each)}" for each in reversed(ordered)]
        return found + self.dialect.drop_types(_types(ordered))

    def _late(self, ordered: Sequence[TableDefinition]) -> list[tuple[TableDefinition, ForeignKeyDefinition]]:
        return late_foreign_keys(ordered) if self.features.foreign_keys else []

    def create_table(
        self,
        definition: TableDefinition,
        *,
        skip: Collection[ForeignKeyDefinition] = (),
        if_not_exists: bool = False,
    ) -> str:
        """Return CREATE TABLE for a definition, without the foreign keys in `skip`."""
        table, where = definition.table, definition.where
        lines = [self.column(column, where) for column in table.columns]
        numbered = any(column.identity for column in table.columns)
        if table.primary_key and not (numbered and self.features.identity_declares_key):
            name = self._quote(definition.primary_key_name, where)
            lines.append(f"CONSTRAINT {name} PRIMARY KEY ({self._names(table.primary_key, where)})")
        constraints: list[ConstraintDefinition] = [*definition.uniques, *definition.checks]
        if self.features.foreign_keys:
            keys = [key for key in definition.foreign_keys if key not in skip]
            constraints += [self.with_rule(definition, key) for key in keys]
        elif any(key.deferrable for key in definition.foreign_keys):
            self._require("foreign_keys", "foreign keys, so none whose check can be deferred", where)
        lines += [self.constraint(each, where) for each in constraints]
        exists = "IF NOT EXISTS " if if_not_exists else ""
        body = ",\n  ".join(lines)
        return f"CREATE TABLE {exists}{self.table(definition)} (\n  {body}\n)"

    def create_index(
        self, definition: TableDefinition, index: IndexDefinition, if_not_exists: bool = False
    ) -> str:
        """Return CREATE INDEX; a condition is left out where the database has no partial indexes.

        A unique index without its condition would refuse more rows than it should: `CapabilityError`.
        """
        where = definition.where
        if index.where is not None and index.unique:
            self._require("partial_indexes", f"partial indexes, which {index.name!r} is", where)
        unique = "UNIQUE " if index.unique else ""
        parts = ", ".join(self._part(part, index, where) for part in index.parts)
        exists = "IF NOT EXISTS " if if_not_exists else ""
        partial = f" WHERE {index.where}" if index.where is not None and self.features.partial_indexes else ""
        return (
            f"CREATE {unique}INDEX {exists}{self._quote(index.name, where)}"
            f" ON {self.table(definition)} ({parts}){partial}"
        )

    def select_nothing(self, definition: TableDefinition, columns: Sequence[Optional[TableColumn]]) -> str:
        """Return a query without rows that fails where the table has not all of these columns; None names
        none.
        """
        where = definition.where
        names = [f"t.{self._quote(c.name, f'{where}.{c.attribute}')}" for c in columns if c is not None]
        return f"SELECT {', '.join(names) or '1'} FROM {self.table(definition)} t WHERE 1 = 0"

    def _part(self, part: IndexPart, index: IndexDefinition, where: str) -> str:
        if part.column is not None:
            text = self._quote(part.column.name, f"{where}.{part.column.attribute}")
        else:
            self._require("expression_indexes", f"indexes over expressions, which {index.name!r} is", where)
            text = f"({part.expression})"
        return f"{text} DESC" if part.descending else text

    def add_foreign_key(self, definition: TableDefinition, key: ForeignKeyDefinition) -> str:
        """Return the statement that adds a foreign key to an existing table."""
        key = self.with_rule(definition, key)
        return f"ALTER TABLE {self.table(definition)} ADD {self.constraint(key, definition.where)}"

    def with_rule(self, definition: TableDefinition, key: ForeignKeyDefinition) -> ForeignKeyDefinition:
        """Return a foreign key without its rule on update where the database refuses that: for generated
        columns, and in some for columns that a CHECK or the formula of a generated column names.
        """
        allowed = not any(column.generated is not None for column in key.columns)
        if allowed and not self.features.update_rules_beside_checks:
            texts = [check.condition for check in definition.checks]
            texts += [column.generated or "" for column in definition.table.columns]
            words = set(re.findall(r"\w+", " ".join(texts).lower()))
            allowed = words.isdisjoint(column.name.lower() for column in key.columns)
        return key if allowed else key._replace(on_update="NO ACTION")

    def drop_foreign_key(
        self, definition: TableDefinition, key: ForeignKeyDefinition, if_exists: bool = False
    ) -> str:
        """Return the statement that takes a foreign key away from a table."""
        exists = "IF EXISTS " if if_exists else ""
        name = self._quote(key.name, definition.where)
        return f"ALTER TABLE {exists}{self.table(definition)} DROP CONSTRAINT {exists}{name}"

    def comments(self, definition: TableDefinition) -> list[str]:
        """Return the statements for the comments of a table; none where the database has no comments."""
        if not self.features.comments:
            return []
        table, where = self.table(definition), definition.where
        found = []
        if definition.comment is not None:
            found.append(f"COMMENT ON TABLE {table} IS {self.dialect.literal(definition.comment)}")
        for column in definition.table.columns:
            if column.comment is not None:
                name = self._quote(column.name, f"{where}.{column.attribute}")
                found.append(f"COMMENT ON COLUMN {table}.{name} IS {self.dialect.literal(column.comment)}")
        return found

    # Parts

    def column(self, column: TableColumn, where: str) -> str:
        """Return the definition of a column, beginning with its name."""
        place = f"{where}.{column.attribute}"
        words = [self._quote(column.name, place)]
        if column.identity:
            return f"{words[0]} {self.dialect.identity_ddl}"
        try:
            words.append(self.dialect.type_ddl(column.type))
            if column.generated is not None:
                self.dialect.require("generated_columns", "generated columns")
                generated = self.dialect.generated_text(column.generated, column.type)
                words.append(f"GENERATED ALWAYS AS ({generated}) STORED")
        except CapabilityError as error:
            raise CapabilityError(f"{place}: {error}") from error
        if not column.nullable and (column.generated is None or self.features.generated_not_null):
            words.append("NOT NULL")
        if column.server_default is not None:
            words.append(f"DEFAULT {self.default(column)}")
        return " ".join(words)

    def default(self, column: TableColumn) -> str:
        """Return the SQL of a column's default, `""` for one without.

        The present moment, and a number, is given in the form in which the column stores it.
        """
        text = column.server_default
        if text is None:
            return ""
        if text.strip().upper() in _NOW and isinstance(column.type, (Date, DateTime, Time)):
            text = self.dialect.current_timestamp(column.type)
        return f"({self.dialect.default_text(text, column.type)})"

    def constraint(self, constraint: ConstraintDefinition, where: str) -> str:
        """Return the definition of a constraint, beginning with CONSTRAINT and its name."""
        if isinstance(constraint, UniqueDefinition):
            name = self._quote(constraint.name, where)
            return f"CONSTRAINT {name} UNIQUE ({self._names(constraint.columns, where)})"
        if isinstance(constraint, CheckDefinition):
            self._require("check_constraints", "CHECK constraints", where)
            return f"CONSTRAINT {self._quote(constraint.name, where)} CHECK ({constraint.condition})"
        return self._foreign_key(constraint, where)

    def _foreign_key(self, key: ForeignKeyDefinition, where: str) -> str:
        place = f"{where}.{key.columns[0].attribute}"
        self._require("foreign_keys", "foreign keys", place)
        name = self._quote(key.name, place)
        text = (
            f"CONSTRAINT {name} FOREIGN KEY ({self._names(key.columns, where)})"
            f" REFERENCES {self._qualified(key.target, place)} ({self._names(key.target_columns, place)})"
        )
        if key.on_delete != "NO ACTION":
            text += f" ON DELETE {key.on_delete}"
        if key.on_update != "NO ACTION":
            text += f" ON UPDATE {key.on_update}"
        if key.deferrable:
            self._require("deferrable_constraints", "deferrable foreign keys", place)
            text += " DEFERRABLE INITIALLY DEFERRED"
        return text

    def _names(self, columns: Columns, where: str) -> str:
        return ", ".join(self._quote(column.name, f"{where}.{column.attribute}") for column in columns)

    def table(self, definition: TableDefinition) -> str:
        """Return the quoted name of a table with its schema."""
        return self._qualified(definition.table, definition.where)

    def _qualified(self, table: Table, where: str) -> str:
        if table.schema is not None:
            self._require("schemas", f"schemas, and Meta.schema asks for {table.schema!r}", where)
        try:
            return table_name(self.dialect, table)
        except QueryError as error:
            raise ModelError(f"{where}: {error}") from error

    def _quote(self, name: str, place: str) -> str:
        try:
            return self.dialect.quote(name)
        except QueryError as error:
            raise ModelError(f"{place}: {error}") from error

    def _require(self, feature: str, what: str, place: str) -> None:
        try:
            self.dialect.require(feature, what)
        except CapabilityError as error:
            raise CapabilityError(f"{place}: {error}") from error


def _types(definitions: Sequence[TableDefinition]) -> list[SQLType]:
    return [column.type for each in definitions for column in each.table.columns]
