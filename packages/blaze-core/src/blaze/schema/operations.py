"""Operations: what a migration does, as values that know their steps, their inverse and what they lose.

Tables are named (`"book"`, with `schema=`), written out by `table(...)` or, as wholes, given as models. A
model is read when the migration runs; names and columns stay what they are, so use them in what is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

from blaze.core.constraints import Index
from blaze.dialects.changes import (
    AddedColumn,
    AddedConstraint,
    AlteredColumn,
    DroppedColumn,
    DroppedConstraint,
    RenamedColumn,
    RenamedTable,
    TableChange,
)
from blaze.dialects.types import Integer
from blaze.errors import MigrationError
from blaze.schema.definitions import CheckDefinition, TableDefinition, UniqueDefinition
from blaze.schema.destructive import destruction, narrows
from blaze.schema.reading import define_tables
from blaze.schema.steps import Function, PythonStep, RebuildStep, StatementStep, Step
from blaze.schema.tables import (
    Constraint,
    constraint_definition,
    copy_column,
    index_definition,
    named_table,
    own_constraints,
)
from blaze.security.redaction import redact_statement
from blaze.sql.table import Table, TableColumn
from blaze.sql.tokens import split_statements, tokenize

if TYPE_CHECKING:
    from blaze.dialects.features import Lexis
    from blaze.schema.builder import SchemaBuilder

__all__ = [
    "AddColumn",
    "AddConstraint",
    "AlterColumn",
    "CreateIndex",
    "CreateTable",
    "DropColumn",
    "DropConstraint",
    "DropIndex",
    "DropTable",
    "Operation",
    "RenameColumn",
    "RenameTable",
    "RunPython",
    "RunSQL",
]


class Operation:
    """One thing that a migration does."""

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        """Return what is sent to the database, in the words of the builder's dialect."""
        raise NotImplementedError

    def inverse(self) -> Optional[Operation]:
        """Return the operation that takes this one back, None where that cannot be told."""
        return None

    def loses(self, lexis: Lexis) -> Optional[str]:
        """Say what the operation may lose, or None; `lexis` is how the database reads SQL text."""
        return None

    def identity(self) -> tuple[Any, ...]:
        """Return the values that say what the operation does, for the checksum."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.identity()!r}"


class _TableOperation(Operation):
    """An operation on one table that is known by its name."""

    def __init__(self, table: str, schema: Optional[str] = None) -> None:
        if not isinstance(table, str) or not table:
            raise MigrationError(f"{type(self).__name__}: {table!r} is no name of a table")
        self.table = table
        self.schema = schema
        self.definition = named_table(table, schema)

    def change(self, builder: SchemaBuilder, change: TableChange, proof: str = "") -> list[Step]:
        """Return the steps of a change: statements, or a rebuild where the database has none."""
        statements = builder.dialect.alter_table(builder.table(self.definition), change)
        if statements is None:
            return [RebuildStep(self.table, change)]
        return [StatementStep(sql, proof=proof) for sql in statements]


# Tables


class _Tables(Operation):
    """Tables as wholes: models with their join tables, tables written out, and for dropping mere names."""

    def __init__(self, *tables: Union[type, TableDefinition, str], schema: Optional[str] = None) -> None:
        for each in tables:
            if not isinstance(each, (type, TableDefinition, *self._also)):
                raise MigrationError(
                    f"{type(self).__name__}: {each!r} is no model and no table('name', [columns])"
                )
        if not tables:
            raise MigrationError(f"{type(self).__name__} names no table")
        self.tables = tables
        self.schema = schema

    _also: tuple[type, ...] = ()
    _reached = False

    def definitions(self) -> list[TableDefinition]:
        """Return all tables that are meant, read from the models now."""
        found = [named_table(each, self.schema) for each in self.tables if isinstance(each, str)]
        found += [each for each in self.tables if isinstance(each, TableDefinition)]
        return found + define_tables(
            [each for each in self.tables if isinstance(each, type)], reached=self._reached
        )

    def identity(self) -> tuple[Any, ...]:
        return tuple(self.definitions())

    def __repr__(self) -> str:
        names = [each if isinstance(each, str) else _shown(each) for each in self.tables]
        return f"{type(self).__name__}({', '.join(names)})"


def _shown(table: Union[type, TableDefinition]) -> str:
    return table.__name__ if isinstance(table, type) else table.where


class CreateTable(_Tables):
    """Create tables of models (with join tables) or of `table(...)`, with indexes, constraints, comments."""

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        return [StatementStep(sql) for sql in builder.create_tables(self.definitions())]

    def inverse(self) -> Operation:
        return DropTable(*self.definitions())


class DropTable(_Tables):
    """Drop tables with their rows; given as models or `table(...)`, it can be taken back without the rows."""

    _also = (str,)
    _reached = True

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        return [StatementStep(sql) for sql in builder.drop_tables(self.definitions())]

    def inverse(self) -> Optional[Operation]:
        if any(isinstance(each, str) for each in self.tables):
            return None
        return CreateTable(*self.definitions())

    def loses(self, lexis: Lexis) -> str:
        names = ", ".join(repr(each.table.name) for each in self.definitions())
        return f"drops {names} with all rows"


class RenameTable(_TableOperation):
    """Give a table another name; foreign keys and indexes stay with it."""

    def __init__(self, table: str, new: str, *, schema: Optional[str] = None) -> None:
        super().__init__(table, schema)
        self.new = new

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        proof = builder.select_nothing(named_table(self.new, self.schema), [])
        return self.change(builder, RenamedTable(self.new), proof)

    def inverse(self) -> Operation:
        return RenameTable(self.new, self.table, schema=self.schema)

    def identity(self) -> tuple[Any, ...]:
        return self.table, self.new, self.schema


# Columns


class AddColumn(_TableOperation):
    """Add a column with its own `unique`, `check` and `index`.

    A column that may not be NULL needs a `server_default` where the table has rows.
    """

    def __init__(self, table: str, column: TableColumn, *, schema: Optional[str] = None) -> None:
        super().__init__(table, schema)
        self.column = _checked_column(self, column)

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        column = copy_column(self.column)
        with_column = Table(self.table, [column], schema=self.schema)
        where = self.definition.where
        change = AddedColumn(
            column.name,
            builder.column(column, where),
            column.nullable,
            builder.default(column) or None,
            column.generated is not None,
        )
        found: list[Step] = [StatementStep(sql) for sql in builder.dialect.create_types([column.type])]
        found += self.change(builder, change)
        for constraint in own_constraints(with_column):
            text = builder.constraint(constraint, where)
            found += self.change(builder, AddedConstraint(constraint.name, text))
        if column.index:
            index = index_definition(with_column, Index(column.name))
            found.append(StatementStep(builder.create_index(self.definition, index)))
        comments = builder.comments(TableDefinition(with_column, where))
        return found + [StatementStep(sql) for sql in comments]

    def inverse(self) -> Operation:
        return DropColumn(self.table, self.column, schema=self.schema)

    def identity(self) -> tuple[Any, ...]:
        return self.table, self.column, self.schema


class DropColumn(_TableOperation):
    """Drop a column with its values, indexes and constraints; given as a `TableColumn`, it can come back."""

    def __init__(self, table: str, column: Union[str, TableColumn], *, schema: Optional[str] = None) -> None:
        super().__init__(table, schema)
        self.column = column if isinstance(column, str) else _checked_column(self, column)

    @property
    def name(self) -> str:
        """Give the column's name."""
        return self.column if isinstance(self.column, str) else self.column.name

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        return self.change(builder, DroppedColumn(self.name))

    def inverse(self) -> Optional[Operation]:
        return (
            None if isinstance(self.column, str) else AddColumn(self.table, self.column, schema=self.schema)
        )

    def loses(self, lexis: Lexis) -> str:
        return f"drops the column {self.table}.{self.name} with all values"

    def identity(self) -> tuple[Any, ...]:
        return self.table, self.name, self.schema


class AlterColumn(_TableOperation):
    """Change type, nullability or default of a column to those of `column`.

    `old` is the column as it was: with it the operation can be taken back, changes only what differs, and
    loses nothing where the new type holds all values of the old. It is believed, not looked up: where the
    database has something else, the difference stays, and taking the operation back makes it what `old` says.
    `using` is SQL text of each row's new value.
    """

    def __init__(
        self,
        table: str,
        column: TableColumn,
        *,
        old: Optional[TableColumn] = None,
        using: Optional[str] = None,
        schema: Optional[str] = None,
    ) -> None:
        super().__init__(table, schema)
        self.column = _checked_column(self, column)
        self.old = None if old is None else _checked_column(self, old)
        self.using = using
        if self.old is not None and self.old.name != column.name:
            raise MigrationError(
                f"AlterColumn: {self.old.name!r} and {column.name!r} are two columns of {table!r};"
                " rename by RenameColumn first"
            )

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        new, old, where = self.column, self.old, self.definition.where
        definition = builder.column(new, where)
        type_ = builder.dialect.type_ddl(new.type)
        default = builder.default(new)
        if old is None:
            change = AlteredColumn(new.name, definition, type_, new.nullable, default, self.using)
        else:
            changes_type = type_ != builder.dialect.type_ddl(old.type) or self.using is not None
            changes_default = default != builder.default(old) or (changes_type and default)
            change = AlteredColumn(
                new.name,
                definition,
                type_ if changes_type else None,
                new.nullable if new.nullable != old.nullable else None,
                default if changes_default else None,
                self.using,
            )
            if change[2:] == (None, None, None, None) and new.generated == old.generated:
                return []
        return self.change(builder, change)

    def inverse(self) -> Optional[Operation]:
        if self.old is None or self.using is not None:
            return None
        return AlterColumn(self.table, self.old, old=self.column, schema=self.schema)

    def loses(self, lexis: Lexis) -> Optional[str]:
        place = f"{self.table}.{self.column.name}"
        if self.old is None:
            return f"gives {place} another type, perhaps a narrower one (tell it old=)"
        if self.column.generated is not None and self.old.generated is None:
            return f"replaces the values of {place} by generated ones"
        if narrows(self.old.type, self.column.type):
            return f"narrows {place} from {self.old.type!r} to {self.column.type!r}"
        return None

    def identity(self) -> tuple[Any, ...]:
        return self.table, self.column, self.old, self.using, self.schema


class RenameColumn(_TableOperation):
    """Give a column another name, in indexes and constraints, too."""

    def __init__(self, table: str, column: str, new: str, *, schema: Optional[str] = None) -> None:
        super().__init__(table, schema)
        self.column, self.new = column, new

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        proof = builder.select_nothing(self.definition, [TableColumn(self.new, Integer())])
        return self.change(builder, RenamedColumn(self.column, self.new), proof)

    def inverse(self) -> Operation:
        return RenameColumn(self.table, self.new, self.column, schema=self.schema)

    def identity(self) -> tuple[Any, ...]:
        return self.table, self.column, self.new, self.schema


def _checked_column(operation: Operation, column: TableColumn) -> TableColumn:
    if not isinstance(column, TableColumn):
        raise MigrationError(
            f"{type(operation).__name__}: {column!r} is no column; write TableColumn('name', Integer())"
        )
    return column


# Indexes and constraints


class CreateIndex(_TableOperation):
    """Create an index; `Index` names columns here."""

    def __init__(self, table: str, index: Index, *, schema: Optional[str] = None) -> None:
        super().__init__(table, schema)
        self.index = index
        self.made = index_definition(self.definition.table, index)

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        # SQLite takes the name of a column that is not there for a text.
        guard = builder.select_nothing(self.definition, [part.column for part in self.made.parts])
        return [StatementStep(builder.create_index(self.definition, self.made), guard)]

    def inverse(self) -> Operation:
        return DropIndex(self.table, self.index, schema=self.schema)

    def identity(self) -> tuple[Any, ...]:
        return self.table, self.made, self.schema


class DropIndex(_TableOperation):
    """Drop an index by its name or as an `Index`; the latter can be taken back."""

    def __init__(self, table: str, index: Union[str, Index], *, schema: Optional[str] = None) -> None:
        super().__init__(table, schema)
        self.index = index

    @property
    def name(self) -> str:
        """Give the index's name."""
        if isinstance(self.index, str):
            return self.index
        return index_definition(self.definition.table, self.index).name

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        index = builder.table(named_table(self.name, self.schema))
        return [StatementStep(builder.dialect.drop_index(builder.table(self.definition), index))]

    def inverse(self) -> Optional[Operation]:
        return (
            None if isinstance(self.index, str) else CreateIndex(self.table, self.index, schema=self.schema)
        )

    def loses(self, lexis: Lexis) -> str:
        return f"drops the index {self.name!r}"

    def identity(self) -> tuple[Any, ...]:
        return self.table, self.name, self.schema


class AddConstraint(_TableOperation):
    """Add `Unique`, `Check` or `References` over columns of a table."""

    def __init__(self, table: str, constraint: Constraint, *, schema: Optional[str] = None) -> None:
        super().__init__(table, schema)
        self.constraint = constraint
        self.made = constraint_definition(self.definition.table, constraint)

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        text = builder.constraint(self.made, self.definition.where)
        return self.change(builder, AddedConstraint(self.made.name, text))

    def inverse(self) -> Operation:
        return DropConstraint(self.table, self.constraint, schema=self.schema)

    def identity(self) -> tuple[Any, ...]:
        return self.table, self.made, self.schema


class DropConstraint(_TableOperation):
    """Drop a constraint by its name or as `Unique`, `Check`, `References`; the latter can be taken back."""

    def __init__(
        self, table: str, constraint: Union[str, Constraint], *, schema: Optional[str] = None
    ) -> None:
        super().__init__(table, schema)
        self.constraint = constraint

    @property
    def _name_and_kind(self) -> tuple[str, str]:
        if isinstance(self.constraint, str):
            return self.constraint, ""
        made = constraint_definition(self.definition.table, self.constraint)
        if isinstance(made, UniqueDefinition):
            return made.name, "UNIQUE"
        return made.name, "CHECK" if isinstance(made, CheckDefinition) else "FOREIGN KEY"

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        return self.change(builder, DroppedConstraint(*self._name_and_kind))

    def inverse(self) -> Optional[Operation]:
        if isinstance(self.constraint, str):
            return None
        return AddConstraint(self.table, self.constraint, schema=self.schema)

    def loses(self, lexis: Lexis) -> str:
        return f"drops the constraint {self._name_and_kind[0]!r}"

    def identity(self) -> tuple[Any, ...]:
        return self.table, *self._name_and_kind, self.schema


# Anything


class RunSQL(Operation):
    """Run SQL as written, one or several statements; `rollback` takes it back.

    `destructive` overrules what the text tells: True where a function that it calls loses data, for example.
    """

    def __init__(
        self, sql: str, rollback: Optional[str] = None, *, destructive: Optional[bool] = None
    ) -> None:
        if not isinstance(sql, str) or "\0" in sql:
            raise MigrationError(f"RunSQL takes SQL text without NUL characters, not {sql!r}")
        self.sql, self.rollback, self.destructive = sql, rollback, destructive

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        return [StatementStep(sql) for sql in split_statements(self.sql, builder.features.lexis)]

    def inverse(self) -> Optional[Operation]:
        return None if self.rollback is None else RunSQL(self.rollback, self.sql)

    def loses(self, lexis: Lexis) -> Optional[str]:
        if self.destructive is None:
            return destruction(self.sql, lexis)
        return "is marked as destructive" if self.destructive else None

    def identity(self) -> tuple[Any, ...]:
        """Return the statements without their layout and comments, read in the standard way."""
        return tuple(" ".join(token.text for token in tokenize(sql)) for sql in split_statements(self.sql))

    def __repr__(self) -> str:
        return f"RunSQL({redact_statement(self.sql)!r})"


class RunPython(Operation):
    """Change data by a function, the same one for `apply` and `aapply`.

    The function gets `run` and is a generator: `rows = (yield run("SELECT ...", [...])).rows` sends a
    statement with `?`, `%s` or `:name` placeholders and receives its outcome. The checksum holds the
    function's name alone.
    """

    def __init__(
        self, function: Function, rollback: Optional[Function] = None, *, destructive: bool = False
    ) -> None:
        if not callable(function):
            raise MigrationError(f"RunPython takes a function, not {function!r}")
        self.function, self.rollback, self.destructive = function, rollback, destructive

    def steps(self, builder: SchemaBuilder) -> list[Step]:
        return [PythonStep(self.function, _function_name(self.function))]

    def inverse(self) -> Optional[Operation]:
        return None if self.rollback is None else RunPython(self.rollback, self.function)

    def loses(self, lexis: Lexis) -> Optional[str]:
        return "is marked as destructive" if self.destructive else None

    def identity(self) -> tuple[Any, ...]:
        return (_function_name(self.function),)


def _function_name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
