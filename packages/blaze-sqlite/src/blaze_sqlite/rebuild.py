"""Change what SQLite's ALTER TABLE cannot: make the table anew, as its documentation advises.

The new table is made of the text of the old one, edited definition by definition, so that everything in it
that Blaze did not write stays as it is. Indexes and triggers are made again, views are left alone.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Optional

from blaze.adapters.refusals import UNFILLED
from blaze.dialects.changes import (
    AddedColumn,
    AddedConstraint,
    AlteredColumn,
    DroppedColumn,
    DroppedConstraint,
    TableChange,
)
from blaze.errors import ForeignKeyError, IntegrityError, MigrationError, NotNullError
from blaze.plan import Execute, Plan
from blaze.sql.tokens import SYMBOL, Token, tokenize
from blaze_sqlite.constraints import LEXIS, plain_name

if TYPE_CHECKING:
    from blaze_sqlite.dialect import SQLiteDialect

__all__ = ["SQLiteRebuilder", "edited"]

_TABLE_CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})
# What begins a constraint of a column; those kept when the column is written anew.
_COLUMN_PARTS = _TABLE_CONSTRAINTS | {"NOT", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS"}
_KEPT_PARTS = frozenset({"PRIMARY", "UNIQUE", "CHECK", "REFERENCES"})


class SQLiteRebuilder:
    """Rebuild tables of one connection for one migration; foreign keys are not enforced meanwhile."""

    def __init__(self, dialect: SQLiteDialect) -> None:
        self.dialect = dialect
        self.enforced = True  # whether the connection enforced foreign keys before
        self.before: Optional[Counter[tuple[str, str]]] = None  # rows that referred to nothing already

    def start(self) -> Plan[None]:
        """Switch foreign keys off; with them on, dropping the old table would delete what refers to it."""
        outcome = yield Execute("PRAGMA foreign_keys")
        self.enforced = bool(outcome.rows[0][0])
        yield Execute("PRAGMA foreign_keys = OFF")

    def change(self, table: str, change: TableChange) -> Plan[None]:
        """Make a table anew with a change in it."""
        if self.before is None:
            self.before = yield from self._violations()
        found = yield Execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", (table,)
        )
        if not found.rows:
            raise MigrationError(f"there is no table {table!r} to change")
        name, text = found.rows[0]
        parts = yield Execute(
            "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger')"
            " AND sql IS NOT NULL ORDER BY type, rowid",
            (name,),
        )
        quote = self.dialect.quote
        fresh = f"blaze_new_{name}"
        yield Execute(edited(text, name, quote(fresh), change), (), None, True)
        targets, sources = yield from self._copied(name, fresh, change)
        counter = yield from self._counter(name, text)
        if targets:
            copy = f"INSERT INTO {quote(fresh)} ({targets}) SELECT {sources} FROM {quote(name)}"
            try:
                yield Execute(copy, (), None, True)
            except IntegrityError as error:
                said, line, statement = str(error.args[0]).partition("\n")
                if isinstance(error, NotNullError):
                    said = UNFILLED.format(place=", ".join([f"{name}.{column}" for column in error.columns]))
                error.args = (f"{said.replace(fresh, name)}{line}{statement}",)
                raise
        yield Execute(f"DROP TABLE {quote(name)}", (), None, True)
        # The old way renames nothing but the table: views and foreign keys name the old one, which is meant.
        yield Execute("PRAGMA legacy_alter_table = ON")
        yield Execute(f"ALTER TABLE {quote(fresh)} RENAME TO {quote(name)}", (), None, True)
        yield Execute("PRAGMA legacy_alter_table = OFF")
        if counter is not None:
            yield Execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (counter, name), None, True)
        for _, sql in parts.rows:
            if not (isinstance(change, DroppedColumn) and _is_index_of(sql, change.name)):
                yield Execute(sql, (), None, True)

    def check(self) -> Plan[None]:
        """Raise `ForeignKeyError` where more rows than before refer to nothing."""
        new = (yield from self._violations()) - (self.before or Counter())
        if new and self.enforced:
            places = ", ".join(
                f"{count} of {child!r} to {parent!r}" for (child, parent), count in new.items()
            )
            raise ForeignKeyError(
                f"rows that refer to nothing: {places}. While a table is rebuilt, foreign keys are not"
                " enforced and ON DELETE does nothing: put changes of data into a migration of their own"
            )

    def finish(self) -> Plan[None]:
        """Switch foreign keys on again."""
        if self.enforced:
            yield Execute("PRAGMA foreign_keys = ON")

    def _violations(self) -> Plan[Counter[tuple[str, str]]]:
        found = yield Execute("PRAGMA foreign_key_check")
        return Counter((child, parent) for child, _, parent, _ in found.rows)

    def _copied(self, name: str, fresh: str, change: TableChange) -> Plan[tuple[str, str]]:
        """Return the columns that both tables store, and where their values come from, as SQL."""
        query = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0"
        old = {row[0].lower() for row in (yield Execute(query, (name,))).rows}
        shared = [row[0] for row in (yield Execute(query, (fresh,))).rows if row[0].lower() in old]
        quote = self.dialect.quote
        sources = [
            change.using
            if isinstance(change, AlteredColumn) and change.using and _same(each, change.name)
            else quote(each)
            for each in shared
        ]
        return ", ".join(map(quote, shared)), ", ".join(sources)

    def _counter(self, name: str, text: str) -> Plan[Optional[int]]:
        """Return the highest key ever given by AUTOINCREMENT, which a new table would not know."""
        if not any(token.word == "AUTOINCREMENT" for token in _tokens(text)):
            return None
        found = yield Execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (name,))
        return found.rows[0][0] if found.rows else None


# The text of a table


class _Definition(NamedTuple):
    """A column or a constraint in the parentheses of CREATE TABLE."""

    text: str
    tokens: list[Token]

    @property
    def is_constraint(self) -> bool:
        return self.tokens[0].word in _TABLE_CONSTRAINTS

    @property
    def name(self) -> str:
        """Give the name of the column, or of the constraint if it has one."""
        if not self.is_constraint:
            return plain_name(self.tokens[0].text)
        return plain_name(self.tokens[1].text) if self.tokens[0].word == "CONSTRAINT" else ""


def edited(text: str, table: str, fresh: str, change: TableChange) -> str:
    """Return the CREATE TABLE of a table with a change in it and another (quoted) name.

    Raises `MigrationError` for a column or constraint that the table does not have, or has already.
    """
    definitions, tail = _parse(text, table)
    columns = [each for each in definitions if not each.is_constraint]
    constraints = [each for each in definitions if each.is_constraint]
    if isinstance(change, AddedColumn):
        _refuse_known(columns, change.name, table, "column")
        columns.append(_definition(change.definition))
    elif isinstance(change, AddedConstraint):
        _refuse_known(constraints, change.name, table, "constraint")
        constraints.append(_definition(change.definition))
    elif isinstance(change, DroppedConstraint):
        columns, constraints = _without_constraint(columns, constraints, change.name, table)
    elif isinstance(change, AlteredColumn):
        place = _place(columns, change.name, table)
        columns[place] = _rewritten(columns[place], change.definition)
    elif isinstance(change, DroppedColumn):
        del columns[_place(columns, change.name, table)]
        constraints = [each for each in constraints if not _constrains(each, change.name, table)]
    body = ",\n  ".join(each.text for each in [*columns, *constraints])
    return f"CREATE TABLE {fresh} (\n  {body}\n){tail}"


def _parse(text: str, table: str) -> tuple[list[_Definition], str]:
    """Return what stands in the parentheses of CREATE TABLE, and what follows them."""
    tokens = _tokens(text)
    if len(tokens) > 1 and tokens[1].word == "VIRTUAL":
        raise MigrationError(f"{table!r} is a virtual table; drop it and create it anew")
    found, depth, start = [], 0, 0
    for token in tokens:
        symbol = token.text if token.kind == SYMBOL else ""
        if symbol == "(":
            depth += 1
            if depth == 1 and not start:
                start = token.start + 1
        elif symbol == ")":
            depth -= 1
        if (symbol == "," and depth == 1) or (symbol == ")" and depth == 0):
            found.append(_definition(text[start : token.start].strip()))
            start = token.start + 1
            if depth == 0:
                return found, text[start:].rstrip()
    raise MigrationError(f"the definition of table {table!r} cannot be read: {text}")


def _definition(text: str) -> _Definition:
    return _Definition(_without_last_comment(text), _tokens(text))


def _without_last_comment(text: str) -> str:
    """Return a definition so that a comma can follow: a comment up to the end of the line would hide it."""
    lines = text.split("\n")
    tokens = _tokens(text)
    last = text.count("\n", 0, tokens[-1].start) if tokens else 0
    return "\n".join(lines[: last + 1]) + "\n" * ("--" in lines[last])


def _place(columns: list[_Definition], name: str, table: str) -> int:
    for place, each in enumerate(columns):
        if _same(each.name, name):
            return place
    raise MigrationError(f"table {table!r} has no column {name!r}")


def _refuse_known(definitions: list[_Definition], name: str, table: str, what: str) -> None:
    if any(_same(each.name, name) for each in definitions):
        raise MigrationError(f"table {table!r} has a {what} {name!r} already")


def _without_constraint(
    columns: list[_Definition], constraints: list[_Definition], name: str, table: str
) -> tuple[list[_Definition], list[_Definition]]:
    kept = [each for each in constraints if not _same(each.name, name)]
    if len(kept) < len(constraints):
        return columns, kept
    for place, column in enumerate(columns):
        parts = _parts(column)
        rest = [part for part in parts if not (part.is_constraint and _same(part.name, name))]
        if len(rest) < len(parts):
            columns[place] = _definition(" ".join(part.text for part in rest))
            return columns, constraints
    raise MigrationError(f"table {table!r} has no constraint {name!r}")


def _constrains(constraint: _Definition, column: str, table: str) -> bool:
    """Say whether a constraint of a table is about a column; `MigrationError` for the key."""
    tokens = constraint.tokens
    words = [token.word for token in tokens]
    end = words.index("REFERENCES") if "REFERENCES" in words else len(words)
    start = 2 if words[0] == "CONSTRAINT" else 0
    if not any(_names(token, column) for token in tokens[start:end]):
        return False
    if words[start] == "PRIMARY":
        raise MigrationError(f"the column {column!r} of table {table!r} is part of the primary key")
    return True


def _rewritten(column: _Definition, definition: str) -> _Definition:
    """Return a column's new definition with the keys and checks that the old one has in itself."""
    new = {each.tokens[0].word for each in _parts(_definition(definition))}
    kept = [part.text for part in _parts(column)[1:] if _kind(part) in _KEPT_PARTS - new]
    return _definition(" ".join([definition, *kept]))


def _kind(part: _Definition) -> str:
    """Say what a part of a column is, whether it has a name or not."""
    return part.tokens[2].word if part.tokens[0].word == "CONSTRAINT" else part.tokens[0].word


def _parts(column: _Definition) -> list[_Definition]:
    """Return a column's name and type, and each of its constraints."""
    starts, depth = [0], 0
    tokens = column.tokens
    for place, token in enumerate(tokens):
        symbol = token.text if token.kind == SYMBOL else ""
        depth += (symbol == "(") - (symbol == ")")
        before = tokens[place - 1].word if place else ""
        named = place > 1 and tokens[place - 2].word == "CONSTRAINT"
        if depth or not place or named or token.word not in _COLUMN_PARTS or before == "SET":
            continue
        if token.word == "NOT" and tokens[place + 1].word != "NULL":  # NOT DEFERRABLE
            continue
        if token.word == "AS" and before == "ALWAYS":
            continue
        starts.append(token.start)
    ends = [*starts[1:], len(column.text)]
    return [_definition(column.text[start:end].strip()) for start, end in zip(starts, ends)]


def _is_index_of(sql: str, column: str) -> bool:
    """Say whether the text of an index names a column."""
    tokens = _tokens(sql)
    words = [token.word for token in tokens]
    if "INDEX" not in words[:3]:
        return False
    return any(_names(token, column) for token in tokens[words.index("ON") + 2 :])


def _names(token: Token, column: str) -> bool:
    return token.kind in ("word", "name") and _same(plain_name(token.text), column)


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _tokens(text: str) -> list[Token]:
    return tokenize(text, LEXIS)
