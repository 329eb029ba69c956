"""The compiler: from statements to SQL text.

The text is rendered with marks (NUL, a letter, a number) for placeholders and aliases, which are filled in at
the end: pieces of text may so be moved and repeated, parameters follow the order of the finished text, and a
statement over a single table needs no alias. Names and template texts cannot contain NUL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Optional, Union

from blaze.dialects.types import SQLType
from blaze.errors import QueryError
from blaze.sql.columns import Column
from blaze.sql.compiled import Compiled, Encoder, Expanding, Piece, Rows, Slot, assemble
from blaze.sql.conditions import joined, refuse_loose_columns
from blaze.sql.derived import QueryTable, distinctly_named, output_name
from blaze.sql.expressions import Label, Ordering
from blaze.sql.joins import JoinRenderer
from blaze.sql.raw import Raw
from blaze.sql.scope import NeedsJoin, Scope
from blaze.sql.source import Source
from blaze.sql.statements import (
    CompoundStatement,
    DeleteStatement,
    InsertStatement,
    Lock,
    Placed,
    PlacedCTE,
    PlacedQuery,
    SelectStatement,
    Statement,
    UpdateStatement,
)
from blaze.sql.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from blaze.dialects.dialect import Dialect
    from blaze.sql.expressions import Expression
    from blaze.sql.selectable import Selectable
    from blaze.sql.table import TableColumn

_MARK = re.compile("\0([paf])([0-9]+)\0")


class Compiler(JoinRenderer):
    """Render one statement for one dialect: `Compiler(dialect).compile(statement)`.

    A backend's compiler is a subclass that overrides the hooks in which it differs: `render_<node>` for
    nodes, `function_<name>` for functions, and the attributes below.
    """

    empty_list = "SELECT NULL WHERE 1 = 0"
    materialized_hint = False
    intersect_first = True  # whether INTERSECT binds tighter than UNION and EXCEPT

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.quote = dialect.quote
        self.features = dialect.features
        self._reset()

    def _reset(self) -> None:
        self.cursor = 0
        self.slots: list[Union[Slot, Rows]] = []
        self.alias_names: list[Optional[str]] = []  # a fixed name, or None for t0, t1, ...
        self.alias_tables: list[Table] = []
        self.members = 0
        self.in_set = False  # what comes next is a query of a set operation, of which a server makes a table
        self.cte_names: set[str] = set()

    def compile(self, statement: Union[Selectable, Raw[Any]]) -> Compiled:
        """Return the compiled statement; raise `QueryError` or `CapabilityError` before anything is sent."""
        self._reset()
        if isinstance(statement, Raw):
            return self._finish(self.template(statement), len(statement.binds))
        return self._finish(self.statement(statement.statement(), 0, None), len(statement.binds))

    def template(self, raw: Raw[Any]) -> str:
        """Render a template that is a whole statement; its columns are written with their tables' names."""
        self.scope = scope = self._fixed_scope(Source(Table("sql")))
        for column in _columns_of(raw):
            source = column.source.root
            if source.key not in scope.aliases:
                scope.aliases[source.key] = self.new_alias(source.table, self.quote(source.table.name))
        try:
            return self.render(raw)
        except NeedsJoin as error:
            raise QueryError(
                f"the SQL template uses {error.source.path}, but joins nothing: write the join and the name"
            ) from None

    def _finish(self, text: str, given: int) -> Compiled:
        single = len(self.alias_tables) == 1
        pieces: list[Piece] = []
        last = 0
        for mark in _MARK.finditer(text):
            pieces.append(text[last : mark.start()])
            last = mark.end()
            kind, number = mark[1], int(mark[2])
            if kind == "p":
                pieces.append(self.slots[number])
                continue
            name = self.alias_names[number]
            if single and name is None:
                pieces.append(self.quote(self.alias_tables[0].name) if kind == "a" else "")
            else:
                alias = name or f"t{number}"
                pieces.append(alias if kind == "a" else f" AS {alias}")
        pieces.append(text[last:])
        if any(isinstance(piece, Slot) and piece.expand for piece in pieces):
            return Expanding(self.dialect, pieces, given, self.empty_list)
        return Compiled(*assemble(self.dialect, pieces, given))

    # Binds and names.

    def param(
        self,
        start: int,
        encoder: Encoder = None,
        optional: bool = False,
        expand: bool = False,
        width: int = 0,
    ) -> str:
        """Return a mark for the value of one bind, encoded."""
        self.slots.append(Slot(start, encoder, optional, expand, width))
        return f"\0p{len(self.slots) - 1}\0"

    def take(self) -> int:
        """Return the index of the next bind."""
        self.cursor += 1
        return self.cursor - 1

    def encoder(self, type: Optional[SQLType]) -> Encoder:
        """Return the dialect's encoder of a type."""
        return None if type is None else self.dialect.encoder(type)

    def new_alias(self, table: Table, name: Optional[str] = None) -> int:
        """Return the number of a new alias."""
        self.alias_tables.append(table)
        self.alias_names.append(name)
        return len(self.alias_tables) - 1

    def require(self, feature: str, what: str) -> None:
        """Raise `CapabilityError` when the dialect lacks a feature."""
        self.dialect.require(feature, what)

    def table_name(self, table: Table) -> str:
        """Return the quoted name of a table with its schema."""
        name = self.quote(table.name)
        return f"{self.quote(table.schema)}.{name}" if table.schema else name

    def at(self, placed: Placed, base: int) -> str:
        """Render a placed expression of a statement whose binds start at `base`."""
        self.cursor = base + placed.start
        return self.render(placed.expression)

    def listed(self, placed: Iterable[Placed], base: int) -> str:
        """Render placed expressions with commas between."""
        return ", ".join([self.at(each, base) for each in placed])

    def truth_at(self, placed: Placed, base: int) -> str:
        """Render a placed condition."""
        self.cursor = base + placed.start
        return self.truth(placed.expression)

    def outputs(self, placed: Iterable[Placed], base: int) -> str:
        """Render a select list."""
        texts = []
        for each in placed:
            self.cursor = base + each.start
            texts.append(self.output(each.expression))
        return ", ".join(texts)

    def sorted(self, placed: Iterable[Placed], base: int) -> list[str]:
        """Render what rows are ordered or grouped by."""
        texts = []
        for each in placed:
            self.cursor = base + each.start
            ordered = isinstance(each.expression, Ordering)
            texts.append(self.render(each.expression) if ordered else self.sortable(each.expression))
        return texts

    # Statements.

    def statement(self, statement: Statement, base: int, outer: Optional[Scope]) -> str:
        """Render a statement whose binds start at `base`; `outer` is the scope that it may refer to."""
        previous: Optional[Scope] = getattr(self, "scope", None)
        try:
            if isinstance(statement, SelectStatement):
                return self.select(statement, base, outer)
            if isinstance(statement, CompoundStatement):
                return self.compound(statement, base, outer)
            if isinstance(statement, InsertStatement):
                return self.insert(statement, base)
            if isinstance(statement, UpdateStatement):
                return self.update(statement, base)
            if isinstance(statement, DeleteStatement):
                return self.delete(statement, base)
        finally:
            if previous is not None:
                self.scope = previous
        raise QueryError(f"{type(statement).__name__} is no statement that can be compiled")

    def subquery(self, query: Selectable, start: int, outer: Optional[Scope]) -> str:
        """Render a query whose binds start at `start` and step over them."""
        text = self.statement(query.statement(), start, outer)
        self.cursor = start + len(query.binds)
        return text

    def select(self, statement: SelectStatement, base: int, outer: Optional[Scope]) -> str:
        """Render SELECT. FROM comes last: columns that are rendered before may join their tables."""
        outputs = distinctly_named(statement.columns) if self.in_set else statement.columns
        self.in_set = False
        with_text = self.with_clause(statement.ctes, base)
        root = statement.root
        self.scope = scope = Scope(root, self.new_alias(root.table), outer, self.add_join)
        alias = scope.aliases[root.key]
        kept = next((join.kind.upper() for join in statement.joins if join.kind in ("right", "full")), "")
        if kept and root.only is not None:
            origin, scope.cut = self.joined_item(root, alias, kept), True
        else:
            origin = self.from_item(root, alias, statement.root_query, base)
        for join in statement.joins:
            self.explicit_join(scope, join, base)
        distinct = self.distinct(statement, base)
        columns = self.outputs(outputs, base)
        summed = len(scope.summed)
        where = self.where(scope, statement.where, base)
        del scope.summed[summed:]  # a condition sums for single rows, before they are grouped
        tail = self.group_by(statement, base)
        if statement.having:
            tail += f" HAVING {' AND '.join([self.truth_at(each, base) for each in statement.having])}"
        tail += self.order_by(statement.order_by, base)
        refuse_loose_columns(statement, scope)
        tail += self.limit_offset(statement.limit, statement.offset, base)
        if statement.lock is not None:
            tail += self.lock(statement.lock, scope)
        origin = " ".join([origin, *scope.joins])
        return f"{with_text}SELECT {distinct}{columns} FROM {origin}{where}{tail}"

    def distinct(self, statement: SelectStatement, base: int) -> str:
        """Render DISTINCT or DISTINCT ON."""
        if not statement.distinct:
            return ""
        if not statement.distinct_on:
            return "DISTINCT "
        self.require("distinct_on", "DISTINCT ON")
        return f"DISTINCT ON ({self.listed(statement.distinct_on, base)}) "

    def where(self, scope: Scope, groups: Sequence[Sequence[Placed]], base: int) -> str:
        """Render WHERE from groups of conditions."""
        texts: list[str] = []
        if scope.root.only is not None and not scope.cut:
            texts.append(self.criterion(scope.root.only, scope.aliases[scope.root.key]))
        for group in groups:
            texts += self.conditions(scope, [(each.expression, base + each.start) for each in group])
        return f" WHERE {joined('AND', texts)}" if texts else ""

    def group_by(self, statement: SelectStatement, base: int) -> str:
        """Render GROUP BY with grouping sets."""
        parts = self.sorted(statement.group_by, base)
        if statement.grouping is not None:
            self.require("grouping_sets", statement.grouping.kind)
            groups = [f"({', '.join(self.sorted(group, base))})" for group in statement.grouping.groups]
            parts.append(f"{statement.grouping.kind} ({', '.join(groups)})")
        return f" GROUP BY {', '.join(parts)}" if parts else ""

    def order_by(self, order: Sequence[Placed], base: int) -> str:
        """Render ORDER BY."""
        return f" ORDER BY {', '.join(self.sorted(order, base))}" if order else ""

    def limit_offset(self, limit: Optional[Placed], offset: Optional[Placed], base: int) -> str:
        """Render LIMIT and OFFSET."""
        return self.dialect.limit_offset(
            None if limit is None else self.at(limit, base), None if offset is None else self.at(offset, base)
        )

    def lock(self, lock: Lock, scope: Scope) -> str:
        """Render FOR UPDATE or FOR SHARE."""
        self.require("for_share" if lock.share else "for_update", "row locks (FOR UPDATE)")
        text = " FOR SHARE" if lock.share else " FOR UPDATE"
        of = [scope.locate(source) for source in lock.of]
        if of:
            self.require("for_update_of", "FOR UPDATE OF")
        elif scope.outer and self.features.for_update_of:  # what an outer join may not find cannot be locked
            places = [alias for alias in scope.aliases.values() if alias not in scope.outer]
            of = [
                alias
                for alias in dict.fromkeys(places)
                if not isinstance(self.alias_tables[alias], QueryTable)
            ]
        if of:
            text += f" OF {', '.join([self.alias(alias) for alias in of])}"
        if lock.nowait:
            self.require("nowait", "FOR UPDATE NOWAIT")
            text += " NOWAIT"
        if lock.skip_locked:
            self.require("skip_locked", "FOR UPDATE SKIP LOCKED")
            text += " SKIP LOCKED"
        return text

    def compound(self, statement: CompoundStatement, base: int, outer: Optional[Scope]) -> str:
        """Render set operations; ORDER BY names result columns by their position."""
        with_text = self.with_clause(statement.ctes, base)
        text = self.member(statement.first, base, outer)
        looser = False
        for operation, query in statement.operations:
            if not operation.startswith("UNION"):
                self.require("intersect_except", operation)
            if not operation.startswith("INTERSECT"):
                looser = True
            elif looser and self.intersect_first:
                text, looser = f"({text})", False
            text += f" {operation} {self.member(query, base, outer)}"
        order = [self.position(statement, each) for each in statement.order_by]
        tail = f" ORDER BY {', '.join(order)}" if order else ""
        return f"{with_text}{text}{tail}{self.limit_offset(statement.limit, statement.offset, base)}"

    def member(self, placed: PlacedQuery, base: int, outer: Optional[Scope]) -> str:
        """Render one query of a set operation; what has an order, a limit or CTEs goes into a subquery."""
        statement = placed.query.statement()
        self.in_set = isinstance(statement, SelectStatement)
        text = self.statement(statement, base + placed.start, outer)
        plain = isinstance(statement, SelectStatement) and not (
            statement.order_by or statement.limit or statement.offset or statement.ctes or statement.lock
        )
        if plain:
            return text
        self.members += 1
        return f"SELECT * FROM ({text}) AS m{self.members}"

    def position(self, statement: CompoundStatement, placed: Placed) -> str:
        """Render an ORDER BY item of a set operation."""
        ordering = placed.expression
        wanted: Expression[Any] = ordering.expression if isinstance(ordering, Ordering) else ordering
        for number, column in enumerate(statement.columns, 1):
            output = column.expression
            inner = output.expression if isinstance(output, Label) else output
            same_name = isinstance(wanted, Label) and wanted.name == output_name(output)
            if wanted.key in (output.key, inner.key) or same_name:
                return self.direction(str(number), ordering)
        raise QueryError(
            f"{wanted.describe()} is not selected, so the result of a set operation cannot be ordered by it: "
            "select it in every query"
        )

    # WITH.

    def with_clause(self, ctes: Sequence[PlacedCTE], base: int) -> str:
        """Render WITH and the blank after it."""
        if not ctes:
            return ""
        self.cte_names.update(placed.cte.name for placed in ctes)
        recursive = any(placed.cte.step is not None for placed in ctes)
        if recursive:
            self.require("recursive_cte", "recursive common table expressions")
        texts = [self.cte(placed, base) for placed in ctes]
        return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(texts)} "

    def cte(self, placed: PlacedCTE, base: int) -> str:
        """Render one common table expression."""
        cte = placed.cte
        statement = cte.query.statement()
        if not isinstance(statement, (SelectStatement, CompoundStatement)):
            self.require("data_modifying_cte", "INSERT, UPDATE or DELETE inside WITH")
        start = base + placed.start
        text = self.statement(statement, start, None)
        if cte.step is not None:
            step = self.statement(cte.step.statement(), start + len(cte.query.binds), None)
            text = f"{text} {'UNION ALL' if cte.union_all else 'UNION'} {step}"
        names = ", ".join([self.quote(column.name) for column in cte.source.table.columns])
        hint = ""
        if cte.materialized is not None and self.materialized_hint:
            hint = "MATERIALIZED " if cte.materialized else "NOT MATERIALIZED "
        return f"{self.quote(cte.name)} ({names}) AS {hint}({text})"

    # INSERT, UPDATE, DELETE.

    def insert(self, statement: InsertStatement, base: int) -> str:
        """Render INSERT."""
        with_text = self.with_clause(statement.ctes, base)
        table = statement.table
        self.scope = self._fixed_scope(Source(table))
        names = ", ".join([self.quote(column.name) for column in statement.into])
        if statement.query is not None:
            start = base + statement.query.start
            body = (
                f"({names}) {self.insert_query(statement, self.subquery(statement.query.query, start, None))}"
            )
        elif not statement.into:
            body = self.default_values(statement)
        elif statement.values is not None:
            into = statement.into
            rows = [
                f"({', '.join([self.assigned(column, each, base) for column, each in zip(into, row)])})"
                for row in statement.values
            ]
            body = f"({names}) VALUES {', '.join(rows)}"
        else:
            encoders = tuple([self.encoder(column.type) for column in statement.into])
            self.slots.append(Rows(base, statement.rows, encoders))
            body = f"({names}) VALUES \0p{len(self.slots) - 1}\0"
        self.new_row = table.columns
        tail = self.conflict(statement, base)
        self.new_row = ()
        tail += self.returning(statement, base)
        return f"{with_text}INSERT INTO {self.table_name(table)} {body}{tail}"

    def insert_query(self, statement: InsertStatement, query: str) -> str:
        """Render the query of INSERT ... SELECT."""
        return query

    def default_values(self, statement: InsertStatement) -> str:
        """Render rows of nothing but defaults: several by their generated key."""
        rows, default = statement.rows, self.dialect.features.default_key
        if rows == 1:
            self.require("insert_default_values", "INSERT ... DEFAULT VALUES")
            return "DEFAULT VALUES"
        keys = [self.quote(column.name) for column in statement.table.columns if column.identity]
        if not default or not keys:
            raise QueryError(
                f"{rows} rows of nothing but defaults cannot be inserted at once: insert them one by one"
            )
        return f"({keys[0]}) VALUES {', '.join([f'({default})'] * rows)}"

    def conflict(self, statement: InsertStatement, base: int) -> str:
        """Render ON CONFLICT."""
        conflict = statement.conflict
        if conflict is None:
            return ""
        self.require("on_conflict", "INSERT ... ON CONFLICT")
        target = (
            f" ({', '.join([self.quote(each.name) for each in conflict.columns])})"
            if conflict.columns
            else ""
        )
        if not conflict.update:
            return f" ON CONFLICT{target} DO NOTHING"
        where = f" WHERE {self.truth_at(conflict.where, base)}" if conflict.where is not None else ""
        return f" ON CONFLICT{target} DO UPDATE SET {self.assignments(conflict.update, base)}{where}"

    def assignments(self, assignments: Iterable[tuple[TableColumn, Placed]], base: int) -> str:
        """Render `column = expression, ...`."""
        return ", ".join(
            [
                f"{self.quote(column.name)} = {self.assigned(column, each, base)}"
                for column, each in assignments
            ]
        )

    def assigned(self, column: TableColumn, placed: Placed, base: int) -> str:
        """Render what is stored in a column."""
        return self.at(placed, base)

    def returning(self, statement: Statement, base: int) -> str:
        """Render RETURNING."""
        if not statement.columns:
            return ""
        if isinstance(statement, UpdateStatement):
            self.require("update_returning", "UPDATE ... RETURNING")
        elif isinstance(statement, DeleteStatement):
            self.require("delete_returning", "DELETE ... RETURNING")
        else:
            self.require("returning", "RETURNING")
            conflict = statement.conflict if isinstance(statement, InsertStatement) else None
            if conflict is not None and not conflict.update:
                self.require("conflict_rows", 'RETURNING of on_conflict(do="nothing")')
        return f" RETURNING {self.outputs(statement.columns, base)}"

    def _fixed_scope(self, root: Source) -> Scope:
        alias = self.new_alias(root.table, self.quote(root.table.name))
        return Scope(root, alias, None, self.add_join, joinable=False)

    def update(self, statement: UpdateStatement, base: int) -> str:
        """Render UPDATE."""
        with_text = self.with_clause(statement.ctes, base)
        self.scope = self._fixed_scope(statement.root)
        try:
            assignments = self.assignments(statement.assignments, base)
        except NeedsJoin as error:
            raise QueryError(
                f"an update of {statement.root.path} cannot set a value from {error.source.path} directly: "
                "use a scalar subquery"
            ) from None
        where = self.own_where(statement.root, statement.where, base)
        table = self.table_name(statement.root.table)
        return f"{with_text}UPDATE {table} SET {assignments}{where}{self.returning(statement, base)}"

    def delete(self, statement: DeleteStatement, base: int) -> str:
        """Render DELETE."""
        with_text = self.with_clause(statement.ctes, base)
        self.scope = self._fixed_scope(statement.root)
        where = self.own_where(statement.root, statement.where, base)
        table = self.table_name(statement.root.table)
        return f"{with_text}DELETE FROM {table}{where}{self.returning(statement, base)}"

    def own_where(self, root: Source, groups: Sequence[Sequence[Placed]], base: int) -> str:
        """Render the WHERE of a statement that cannot join; conditions on other tables go into a subquery."""
        scope = self.scope
        try:
            return self.where(scope, groups, base)
        except NeedsJoin:
            pass
        keys = root.table.primary_key
        if not keys:
            raise QueryError(f"{root.path} has no primary key: conditions on related tables need one")
        if len(keys) > 1:
            self.require("row_value_in", "row values in IN, which conditions on related tables need here")
        self.scope = inner = Scope(root, self.new_alias(root.table), None, self.add_join)
        alias = inner.aliases[root.key]
        where = self.where(inner, groups, base)
        origin = " ".join([f"{self.table_name(root.table)}\0f{alias}\0", *inner.joins])
        selected = ", ".join([f"{self.alias(alias)}.{self.quote(key.name)}" for key in keys])
        own = ", ".join([f"{self.quote(root.table.name)}.{self.quote(key.name)}" for key in keys])
        self.scope = scope
        left = own if len(keys) == 1 else f"({own})"
        return f" WHERE {left} IN (SELECT {selected} FROM {origin}{where})"

    def bulk_update(
        self, table: Table, keys: Sequence[TableColumn], columns: Sequence[TableColumn]
    ) -> Compiled:
        """Return an UPDATE of one row for `execute_many`: its binds are the new values, then the key."""
        if not keys or not columns:
            raise QueryError(f"a bulk update of {table.name} needs columns to set and a key")
        self._reset()
        marks = [self.param(n, self.encoder(each.type), True) for n, each in enumerate([*columns, *keys])]
        pairs = [f"{self.quote(each.name)} = {mark}" for each, mark in zip([*columns, *keys], marks)]
        width = len(columns)
        assigned, matched = ", ".join(pairs[:width]), " AND ".join(pairs[width:])
        return self._finish(f"UPDATE {self.table_name(table)} SET {assigned} WHERE {matched}", len(marks))


def _columns_of(expression: Expression[Any]) -> Iterator[Column[Any]]:
    if isinstance(expression, Column):
        yield expression
    for child in expression.children():
        yield from _columns_of(child)
