"""FROM and its joins, as a mixin of the compiler.

What a condition or a column reaches by a path joins by itself; what the user joins comes first, each with its
ON condition. An outer join makes one side optional: from there further paths join LEFT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from blaze.errors import QueryError
from blaze.sql.conditions import ConditionRenderer
from blaze.sql.derived import QueryTable
from blaze.sql.scope import Unit

if TYPE_CHECKING:
    from blaze.sql.scope import Scope
    from blaze.sql.source import Criterion, Source
    from blaze.sql.statements import Join, Placed, PlacedQuery, Statement


class JoinRenderer(ConditionRenderer):
    """Render the items of FROM and how they join."""

    if TYPE_CHECKING:
        cte_names: set[str]

        def truth_at(self, placed: Placed, base: int) -> str: ...
        def statement(self, statement: Statement, base: int, outer: Optional[Scope]) -> str: ...

    def alias(self, alias: int) -> str:
        """Return the mark of an alias."""
        return f"\0a{alias}\0"

    def from_item(self, source: Source, alias: int, query: Optional[PlacedQuery], base: int) -> str:
        """Render one item of FROM."""
        table = source.table
        if query is None:
            if isinstance(table, QueryTable) and table.name not in self.cte_names:
                raise QueryError(
                    f"the query uses the common table expression {table.name!r} without having it: "
                    f"add with_cte({table.name})"
                )
            return f"{self.table_name(table)}\0f{alias}\0"
        lateral = ""
        outer: Optional[Scope] = None
        if str(table.serial).startswith("lateral:"):
            self.require("lateral", "LATERAL subqueries")
            lateral, outer = "LATERAL ", self.scope
        text = self.statement(query.query.statement(), base + query.start, outer)
        return f"{lateral}({text})\0f{alias}\0"

    def add_join(self, scope: Scope, source: Source, parent_alias: int, kind: str) -> int:
        """Render the join of a source to its parent; return its alias."""
        alias = self.new_alias(source.table)
        joins = scope.joins
        if scope.unit is not None and parent_alias in scope.unit.aliases:
            joins = scope.unit.joins
            scope.unit.aliases.append(alias)
        origin = self.joined_item(source, alias, kind)
        joins.append(f"{kind} JOIN {origin} ON {self.pairs(source, alias, parent_alias)}")
        return alias

    def joined_item(self, source: Source, alias: int, kind: str) -> str:
        """Render a table in FROM; one that keeps its rows without counterpart must hold just its own.

        Neither ON nor WHERE can say that: ON would keep the others too, WHERE drop those of the other side.
        """
        name = self.table_name(source.table)
        if source.only is not None and kind in ("RIGHT", "FULL"):
            name = f"(SELECT * FROM {name} WHERE {self.criterion(source.only)})"
        return f"{name}\0f{alias}\0"

    def pairs(self, source: Source, alias: int, parent_alias: int) -> str:
        """Render the equalities that join a source to its parent."""
        left, right, quote = self.alias(alias), self.alias(parent_alias), self.quote
        texts = [f"{left}.{quote(own.name)} = {right}.{quote(other.name)}" for other, own in source.on]
        if source.only is not None:
            texts.append(self.criterion(source.only, alias))
        return " AND ".join(texts)

    def criterion(self, only: Criterion, alias: Optional[int] = None) -> str:
        """Render the condition for the rows of one model of several, in an alias or the only table."""
        only.sealed = True
        values = [self.dialect.default_literal(value, only.column.type) for value in only.values]
        place = "" if alias is None else f"{self.alias(alias)}."
        column = f"{place}{self.quote(only.column.name)}"
        return f"{column} = {values[0]}" if len(values) == 1 else f"{column} IN ({', '.join(values)})"

    def explicit_join(self, scope: Scope, join: Join, base: int) -> None:
        """Join what the user named, with the chain that leads to it."""
        source = join.source
        kind = join.kind.upper()
        if kind in ("RIGHT", "FULL"):
            self.require(f"{join.kind}_join", f"{kind} JOIN")
        if scope.aliases.get(source.key) is not None:
            raise QueryError(f"{source.path} is joined twice: use an alias for the second one")
        first, through = source, source.parent
        if through is not None and join.on is not None and through.name.endswith("*"):
            if kind == "FULL":
                # A link that the condition refuses would be a partner of one side, and none of the other.
                raise QueryError(
                    f"full_join({source.path}, on=...) goes over a join table, and SQL cannot decide about "
                    "both steps at once there: take the union() of the left_join() and the right_join()"
                )
            if kind == "LEFT":  # the condition decides about both steps of the relation at once
                first = through if scope.find(through) is None else source
        parent_alias = None if first.parent is None else self._join_chain(scope, first.parent, kind)
        alias = self.new_alias(first.table)
        if isinstance(first.table, QueryTable):
            origin = self.from_item(first, alias, join.query, base)
        else:
            origin = self.joined_item(first, alias, kind)
        scope.aliases[first.key] = alias
        conditions: list[str] = []
        if parent_alias is not None:
            scope.hops[parent_alias, first.name, first.table.serial] = alias
            conditions.append(self.pairs(first, alias, parent_alias))
        elif first.only is not None:
            conditions.append(self.criterion(first.only, alias))
        unit = scope.unit = Unit(alias)
        if first is not source:
            alias = scope.attach(source, alias, "INNER")
        if join.on is not None:
            conditions.append(self.truth_at(join.on, base))
        scope.unit = None
        condition = f" ON {' AND '.join(conditions)}" if conditions else ""
        scope.joins.append(f"{kind} JOIN {unit.around(origin)}{condition}")
        scope.joined.append((source, alias))
        scope.mark_outer(unit.aliases, kind)

    def _join_chain(self, scope: Scope, source: Source, kind: str) -> int:
        """Join a step on the way to an explicitly joined source, to-many steps included."""
        found = scope.find(source)
        if found is not None:
            return found[0]
        assert source.parent is not None
        return scope.attach(source, self._join_chain(scope, source.parent, kind), kind)
