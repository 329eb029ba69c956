"""Conditions over to-many paths, as a mixin of the compiler.

A condition on a path with a to-many step that is not joined becomes EXISTS, so it gives no duplicate parents:
`Author.books.price > 5` means "has a book dearer than 5". Conditions of one AND group on the same step share
one EXISTS, that is, one and the same book. NOT of it is NOT EXISTS. An aggregate over such a path becomes a
correlated subquery: `func.count(Author.books.id)` counts without multiplying rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from blaze.errors import QueryError
from blaze.sql.columns import Column
from blaze.sql.expressions import Bind, Comparison, InList, IsNull, IsTrue, Label, Logical, Match, Not
from blaze.sql.functions import Exists, Function, is_known
from blaze.sql.render import ExpressionRenderer
from blaze.sql.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from blaze.sql.expressions import Expression
    from blaze.sql.source import Source
    from blaze.sql.statements import SelectStatement
    from blaze.sql.windows import Windowed

# Conditions joined without parentheses; SQLite takes trees of 1,000 levels.
_MANY = 200

# What is made of conditions, each of which may become EXISTS for itself.
_OF_CONDITIONS = (Logical, Not, IsTrue)

# An expression and the absolute index of its first bind.
Started = tuple["Expression[Any]", int]


class ConditionRenderer(ExpressionRenderer):
    """Render conditions, and aggregates over to-many paths."""

    def conditions(self, scope: Scope, group: Iterable[Started]) -> list[str]:
        """Render the parts of one AND group; those on the same to-many step share one EXISTS."""
        texts: list[str] = []
        shared: dict[str, tuple[int, Source, list[Started]]] = {}
        for started in flattened(group):
            source = None if isinstance(started[0], _OF_CONDITIONS) else self.many_step(scope, started[0])
            if source is None or _means_none(started[0]):
                texts.append(self.condition(scope, started))
                continue
            if source.key not in shared:
                shared[source.key] = (len(texts), source, [])
                texts.append("")
            shared[source.key][2].append(started)
        for place, source, members in shared.values():
            texts[place] = self.exists_row(scope, source, members)
        return texts

    def condition(self, scope: Scope, started: Started) -> str:
        """Render one condition of a scope."""
        expression, start = started
        if isinstance(expression, Logical):
            if expression.op == "AND":
                return f"({joined('AND', self.conditions(scope, [started]))})"
            return f"({joined('OR', [self.condition(scope, each) for each in flattened([started], 'OR')])})"
        if isinstance(expression, Not):
            return f"NOT {self.condition(scope, (expression.expression, start))}"
        if isinstance(expression, IsTrue):
            text = self.condition(scope, (expression.expression, start))
            return text if self._is_certain(scope, expression.expression) else f"(({text}) IS TRUE)"
        source = self.many_step(scope, expression)
        if source is not None:
            if _means_none(expression):
                assert isinstance(expression, IsNull)
                return f"NOT {self.exists_row(scope, source, [(IsNull(expression.expression, True), start)])}"
            return self.exists_row(scope, source, [started])
        self.scope = scope
        self.cursor = start
        return self.render(expression)

    def _is_certain(self, scope: Scope, expression: Expression[Any]) -> bool:
        """Whether a condition that has been rendered can only be true or false, and not NULL."""
        if isinstance(expression, (Logical, Not)):
            return all(self._is_certain(scope, child) for child in expression.children())
        if isinstance(expression, (IsNull, IsTrue, Exists)) or self.many_step(scope, expression) is not None:
            return True
        return isinstance(expression, (Comparison, InList, Match)) and all(
            isinstance(child, Bind)
            or (isinstance(child, Column) and not child.nullable and not scope.may_lack(child.source))
            for child in expression.children()
        )

    def exists_row(self, scope: Scope, source: Source, members: Sequence[Started]) -> str:
        """Render EXISTS over the rows of a to-many step that satisfy the conditions."""
        inner, origin, pairs = self._step(scope, source)
        texts = self.conditions(inner, members)
        self.scope = scope
        origin = " ".join([origin, *inner.joins])
        return f"EXISTS (SELECT 1 FROM {origin} WHERE {joined('AND', [pairs, *texts])})"

    def _step(self, scope: Scope, source: Source) -> tuple[Scope, str, str]:
        assert source.parent is not None
        parent_alias = scope.locate(source.parent)
        alias = self.new_alias(source.table)
        inner = Scope(source, alias, scope, self.add_join)
        origin = f"{self.table_name(source.table)}\0f{alias}\0"
        return inner, origin, self.pairs(source, alias, parent_alias)

    def many_step(self, scope: Scope, expression: Expression[Any]) -> Optional[Source]:
        """Return the first to-many step that the expression needs and FROM lacks."""
        for column in loose_columns(expression):
            step = scope.first_many(column.source)
            if step is not None:
                return step
        return None

    def render_function(self, node: Function[Any]) -> str:
        """Render a call; an aggregate over a to-many path that is not joined becomes a subquery."""
        if not node.aggregate:
            return super().render_function(node)
        outer = self.scope
        columns = [column for child in node.children() for column in loose_columns(child)]
        steps = [outer.first_many(column.source) for column in columns]
        found = {step.key: step for step in steps if step is not None}
        if not found:
            outer.folds = True
            return super().render_function(node)
        if len(found) > 1:
            paths = " and ".join(sorted(step.path for step in found.values()))
            raise QueryError(
                f"{node.name}() cannot combine {paths}: join them, or use one aggregate for each"
            )
        (source,) = found.values()
        outer.summed.append((node.name, source))
        inner, origin, pairs = self._step(outer, source)
        self.scope = inner
        for column in columns:  # further to-many steps multiply the rows that are aggregated, as they should
            inner.place(column.source, many=True)
        text = super().render_function(node)
        self.scope = outer
        return f"(SELECT {text} FROM {' '.join([origin, *inner.joins])} WHERE {pairs})"

    def render_windowed(self, node: Windowed[Any]) -> str:
        folds = self.scope.folds
        text = super().render_windowed(node)
        self.scope.folds = folds  # over a window an aggregate leaves the rows as they are
        return text


def refuse_loose_columns(statement: SelectStatement, scope: Scope) -> None:
    """Raise `QueryError` for what differs within the rows that aggregates or GROUP BY make one of."""
    grouped = bool(statement.group_by or statement.grouping)
    if not (grouped or scope.folds or statement.having):
        if scope.summed and not any(_has_column(placed.expression) for placed in statement.columns):
            raise _loose_sum(scope.summed[0])
        return
    keys = {(each.source.key, each.column) for each in _group_columns(statement)}
    for name, source in scope.summed:
        parent = source.parent
        assert parent is not None
        if any((parent.key, column) not in keys for column in parent.table.primary_key):
            raise _loose_sum((name, source))
    if statement.grouping:
        return
    groups = {_unlabelled(placed.expression).key for placed in statement.group_by}
    for placed in statement.columns:
        if _unlabelled(placed.expression).key in groups:
            continue
        for column in loose_columns(placed.expression, unknown=False):
            if column.source.key not in scope.aliases or _depends_on(column, keys):
                continue
            if grouped:
                raise QueryError(
                    f"{column.describe()} may differ within a group: group by it or by the key of "
                    f"{column.source.path}, or aggregate it, as in func.min(...)"
                )
            raise QueryError(
                f"{column.describe()} stands beside an aggregate that makes one row of all: add "
                "group_by(), aggregate it, or, for objects, leave out the join that it counts over"
            )


def _unlabelled(expression: Expression[Any]) -> Expression[Any]:
    while isinstance(expression, Label):
        expression = expression.expression
    return expression


def _depends_on(column: Column[Any], keys: set[Any]) -> bool:
    """Whether a column is grouped by, or by the key of its row, or of a row that leads to it."""
    source: Optional[Source] = column.source
    if (column.source.key, column.column) in keys:
        return True
    while source is not None:
        if keys and all((source.key, each) in keys for each in source.table.primary_key):
            return True
        source = None if source.many else source.parent
    return False


def _group_columns(statement: SelectStatement) -> Iterator[Column[Any]]:
    for placed in statement.group_by:
        expression = placed.expression
        if isinstance(expression, Column):
            yield expression


def _has_column(expression: Expression[Any]) -> bool:
    return any(True for _ in loose_columns(expression))


def _loose_sum(found: tuple[str, Source]) -> QueryError:
    name, source = found
    assert source.parent is not None
    return QueryError(
        f"{name}() over {source.path} is of each {source.parent.path}, of which a row of this query has "
        f"many: join {source.path} first, or group by the key of {source.parent.path}"
    )


def joined(op: str, texts: list[str]) -> str:
    """Join the texts of a whole chain without parentheses, of a very long one in groups.

    Databases limit how deep conditions nest, and read `a AND b AND c` from the left, one level for each.
    """
    while len(texts) > _MANY:
        texts = [f"({f' {op} '.join(texts[start : start + _MANY])})" for start in range(0, len(texts), _MANY)]
    return f" {op} ".join(texts)


def flattened(group: Iterable[Started], op: str = "AND") -> Iterator[Started]:
    """Yield the operands of chains of AND, or of OR, with where their binds start."""
    waiting = [*group][::-1]
    while waiting:
        expression, start = waiting.pop()
        if isinstance(expression, Logical) and expression.op == op:
            waiting.append((expression.right, start + len(expression.left.binds)))
            waiting.append((expression.left, start))
        else:
            yield expression, start


def loose_columns(expression: Expression[Any], unknown: bool = True) -> Iterator[Column[Any]]:
    """Yield the columns of an expression without those inside aggregates and subqueries.

    Without `unknown` those of functions that nobody knows are left out as well: they may be aggregates.
    """
    if isinstance(expression, Column):
        yield expression
    elif not (
        isinstance(expression, Function)
        and (expression.aggregate or not (unknown or is_known(expression.name)))
    ):
        for child in expression.children():
            yield from loose_columns(child, unknown)


def _means_none(expression: Expression[Any]) -> bool:
    """Whether this is `Author.books.id IS NULL`: a key is never NULL, so it means "has none"."""
    return (
        isinstance(expression, IsNull)
        and not expression.negated
        and isinstance(expression.expression, Column)
        and expression.expression.column.primary_key
        and expression.expression.source.plural
    )
