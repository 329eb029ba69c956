"""Changes of one table, in words that a dialect can put into statements or carry out by a rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional, Union

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect

__all__ = [
    "AddedColumn",
    "AddedConstraint",
    "AlteredColumn",
    "DroppedColumn",
    "DroppedConstraint",
    "RenamedColumn",
    "RenamedTable",
    "TableChange",
    "alter_table",
]


class AddedColumn(NamedTuple):
    """A new last column; `definition` is its DDL with the quoted name in front.

    `nullable`, `default` and `generated` repeat what the definition says, for databases that distinguish.
    """

    name: str
    definition: str
    nullable: bool
    default: Optional[str]
    generated: bool


class DroppedColumn(NamedTuple):
    """A column that goes, with the indexes and constraints that it takes part in."""

    name: str


class AlteredColumn(NamedTuple):
    """A column whose type, nullability or default changes; `definition` is all of the new one.

    `type`, `nullable` and `default` are None where they stay, `default` is `""` where it goes. `using` is SQL
    text of the new value of each row, where the database cannot convert the old one by itself.
    """

    name: str
    definition: str
    type: Optional[str] = None
    nullable: Optional[bool] = None
    default: Optional[str] = None
    using: Optional[str] = None


class RenamedColumn(NamedTuple):
    """A column that gets another name, everywhere in the database."""

    name: str
    new: str


class RenamedTable(NamedTuple):
    """A table that gets another name; indexes and foreign keys stay with it."""

    new: str


class AddedConstraint(NamedTuple):
    """A new constraint; `definition` begins with CONSTRAINT and its name."""

    name: str
    definition: str


class DroppedConstraint(NamedTuple):
    """A constraint that goes; `kind` is UNIQUE, CHECK, FOREIGN KEY, or `""` where nobody told."""

    name: str
    kind: str = ""


TableChange = Union[
    AddedColumn,
    DroppedColumn,
    AlteredColumn,
    RenamedColumn,
    RenamedTable,
    AddedConstraint,
    DroppedConstraint,
]


def alter_table(dialect: Dialect, table: str, change: TableChange) -> list[str]:
    """Return the statements of a change in the words of the standard and PostgreSQL."""
    alter = f"ALTER TABLE {table}"
    if isinstance(change, AddedColumn):
        return [f"{alter} ADD COLUMN {change.definition}"]
    if isinstance(change, AddedConstraint):
        return [f"{alter} ADD {change.definition}"]
    if isinstance(change, RenamedTable):
        return [f"{alter} RENAME TO {dialect.quote(change.new)}"]
    name = dialect.quote(change.name)
    if isinstance(change, DroppedColumn):
        return [f"{alter} DROP COLUMN {name}"]
    if isinstance(change, DroppedConstraint):
        return [f"{alter} DROP CONSTRAINT {name}"]
    if isinstance(change, RenamedColumn):
        return [f"{alter} RENAME COLUMN {name} TO {dialect.quote(change.new)}"]
    actions = []
    column = f"ALTER COLUMN {name}"
    if change.type is not None:
        if change.default is not None:  # the old default may not fit the new type
            actions.append(f"{column} DROP DEFAULT")
        using = f" USING {change.using}" if change.using is not None else ""
        actions.append(f"{column} SET DATA TYPE {change.type}{using}")
    if change.default:
        actions.append(f"{column} SET DEFAULT {change.default}")
    elif change.default is not None and change.type is None:
        actions.append(f"{column} DROP DEFAULT")
    if change.nullable is not None:
        actions.append(f"{column} {'DROP' if change.nullable else 'SET'} NOT NULL")
    return [f"{alter} {action}" for action in actions]
