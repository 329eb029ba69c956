"""Scopes: which sources a SELECT has in FROM, under which alias, and how further ones join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional

from blaze.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blaze.sql.source import Source

Alias = int
Hop = tuple[Alias, str, object]


class NeedsJoin(Exception):
    """A statement that cannot join (UPDATE, DELETE) met a column of another table."""

    def __init__(self, source: Source) -> None:
        super().__init__(source.path)
        self.source = source


class Unit:
    """What joins as one: the alias that the user joined, and what its ON condition reaches from there.

    ON comes before any later join, so `joins` stand in parentheses with the table of the first alias.
    """

    __slots__ = ("aliases", "joins")

    def __init__(self, alias: Alias) -> None:
        self.aliases = [alias]
        self.joins: list[str] = []

    def around(self, origin: str) -> str:
        """Return the FROM item of the unit, given that of its first alias."""
        return f"({' '.join([origin, *self.joins])})" if self.joins else origin


class Scope:
    """The FROM of one SELECT, or the only table of an UPDATE or DELETE (`joinable` is False).

    `add_join(scope, source, parent_alias, kind)` renders a join and returns its alias; the compiler gives it.
    `wider` are the keys of roots with a criterion of their own that stand for rows without it here. `outer`
    are the aliases that may have no row, `unit` the explicit join whose ON condition is being rendered;
    `cut` says that FROM has the rows of the root's criterion only, so WHERE does not name it.
    """

    __slots__ = (
        "add_join",
        "aliases",
        "cut",
        "folds",
        "hops",
        "joinable",
        "joined",
        "joins",
        "outer",
        "parent",
        "root",
        "summed",
        "unit",
        "wider",
    )

    def __init__(
        self,
        root: Source,
        alias: Alias,
        parent: Optional[Scope],
        add_join: Callable[[Scope, Source, Alias, str], Alias],
        joinable: bool = True,
    ) -> None:
        self.root = root
        self.parent = parent
        self.add_join = add_join
        self.joinable = joinable
        self.aliases: dict[str, Alias] = {root.key: alias}
        self.hops: dict[Hop, Alias] = {}
        self.joins: list[str] = []
        self.joined: list[tuple[Source, Alias]] = []
        self.outer: set[Alias] = set()
        self.wider: set[str] = set()
        self.unit: Optional[Unit] = None
        self.cut = False
        self.folds = False  # whether an aggregate makes one row of many
        self.summed: list[tuple[str, Source]] = []  # aggregates over to-many paths, each a subquery

    def find(self, source: Source) -> Optional[tuple[Alias, Scope]]:
        """Return the alias of a source and the scope that has it, None when it is not in any FROM yet."""
        scope: Optional[Scope] = self
        while scope is not None:
            alias = scope.aliases.get(source.key)
            if alias is not None:
                return alias, scope
            scope = scope.parent
        if source.parent is None:
            return self._find_root(source)
        root = self.root
        if root.table is source.table and not self.joinable and source.is_part:
            return self.aliases[root.key], self
        above = self.find(source.parent)
        if above is None:
            return None
        parent_alias, owner = above
        alias = owner.hops.get((parent_alias, source.name, source.table.serial))
        if alias is None:
            return None
        owner.aliases[source.key] = alias
        return alias, owner

    def _find_root(self, source: Source) -> tuple[Alias, Scope]:
        """Find the joined source that a bare table means: `Book` after `.join(Author.books)`.

        Of models that share a table, each means its own place, or else that of the other.
        """
        scope: Optional[Scope] = self
        while scope is not None and source.alias_name is None:
            root = scope.root
            places = {alias: each for each, alias in scope.joined if each.table is source.table}
            same = {alias: each for alias, each in places.items() if each.only is source.only}
            if same and source.only is not None:
                places = same
            elif root.table is source.table and root.parent is None and root.alias_name is None:
                scope.wider.add(source.key)
                scope.aliases[source.key] = scope.aliases[root.key]
                return scope.aliases[root.key], scope
            if len(places) > 1:
                paths = " or ".join(sorted(each.path for each in places.values()))
                raise QueryError(
                    f"{source.path} is joined several times: write the path instead, as in {paths}"
                )
            for alias, place in places.items():
                if place.only is not source.only:
                    scope.wider.add(source.key)
                scope.aliases[source.key] = alias
                return alias, scope
            scope = scope.parent
        raise QueryError(
            f"{source.path} is not part of the query of {self.root.path}: join it, or reach it by a path "
            f"from {self.root.path}"
        )

    def locate(self, source: Source) -> Alias:
        """Return the alias of a source; a to-one source that is not in FROM joins itself."""
        return self.place(source)[0]

    def place(self, source: Source, many: bool = False) -> tuple[Alias, Scope]:
        """Return the alias of a source and its scope; to-one steps that are not in FROM join themselves.

        With `many`, to-many steps join themselves too.
        """
        found = self.find(source)
        if found is not None:
            return found
        assert source.parent is not None  # `find` raises for roots
        if source.many and not many:
            raise QueryError(
                f"{source.path} has many rows for one {source.parent.path}: join it, use it inside an "
                "aggregate such as func.count(), or put it into a condition"
            )
        parent_alias, owner = self.place(source.parent, many)
        if not owner.joinable:
            raise NeedsJoin(source)
        outer = source.outer or parent_alias in owner.outer or source.parent.key in owner.wider
        kind = "LEFT" if outer else "INNER"
        return owner.attach(source, parent_alias, kind), owner

    def attach(self, source: Source, parent_alias: Alias, kind: str) -> Alias:
        """Join a source to a parent that is in this FROM."""
        alias = self.add_join(self, source, parent_alias, kind)
        self.aliases[source.key] = alias
        self.hops[parent_alias, source.name, source.table.serial] = alias
        self.mark_outer([alias], kind)
        return alias

    def mark_outer(self, aliases: Sequence[Alias], kind: str) -> None:
        """Note which sides of a join of this kind may have no row; `aliases` are what it joins."""
        if kind in ("RIGHT", "FULL"):
            self.outer.update(set(self.aliases.values()).difference(aliases))
        if kind in ("LEFT", "FULL"):
            self.outer.update(aliases)

    def may_lack(self, source: Source) -> bool:
        """Say whether a source has no row for some rows of FROM, because of an outer join."""
        alias, owner = self.place(source)
        return alias in owner.outer

    def first_many(self, source: Source) -> Optional[Source]:
        """Return the first to-many step towards a source that is not in FROM, None when there is none."""
        if not source.plural:
            return None
        chain = [source]
        while chain[-1].parent is not None:
            chain.append(chain[-1].parent)
        for step in reversed(chain):
            if step.many and self.find(step) is None:
                return step
        return None
