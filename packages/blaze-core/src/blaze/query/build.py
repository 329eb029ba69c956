"""Build the statement of a query, once for each shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from blaze.core.loaders import Shape, default_attributes
from blaze.errors import QueryError
from blaze.query.root import label_of
from blaze.sql.builders import CompoundBuilder, DeleteBuilder, SelectBuilder, UpdateBuilder
from blaze.sql.columns import Column
from blaze.sql.derived import QueryTable
from blaze.sql.expressions import Expression, Literal
from blaze.sql.functions import func
from blaze.sql.selectable import Selectable
from blaze.sql.source import Source
from blaze.sql.values import INTEGER

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.paths import RelationPath
    from blaze.query.query import Query
    from blaze.sql.statements import AnyStatement


class Built:
    """A statement and what its rows make.

    For objects: `shape` and the annotated `extras`. For rows: `parts`, one for each column or entity. `includes`
    are the paths to load afterwards, `lazy` what lazy access on the objects does.
    """

    __slots__ = ("extras", "includes", "labels", "lazy", "locks", "parts", "shape", "statement")

    def __init__(self) -> None:
        self.statement: AnyStatement
        self.shape: Optional[Shape] = None
        self.extras: list[Any] = []
        self.parts: list[Any] = []
        self.labels: list[Optional[str]] = []
        self.includes: list[RelationPath] = []
        self.lazy: Optional[str] = None
        self.locks = False


class JoinTree:
    """The to-one relations that `select_related` joins, as a tree."""

    __slots__ = ("children", "relation", "source")

    def __init__(self, relation: Any, source: Source) -> None:
        self.relation = relation
        self.source = source
        self.children: dict[str, JoinTree] = {}

    def add(self, path: RelationPath) -> None:
        """Take in a path, sharing the steps that are there already."""
        node = self
        for step in path.steps:
            found = node.children.get(step.name)
            if found is None:
                found = node.children[step.name] = JoinTree(step, step.extend(node.source))
            node = found

    def shape(self, mapper: Mapper, attributes: tuple[Attribute, ...], columns: list[Any]) -> Shape:
        """Return the shape of the rows and collect its columns in the same order."""
        columns += [Column(self.source, attribute.column) for attribute in attributes]
        joined = []
        for child in self.children.values():
            target = child.relation.target
            joined.append((child.relation, child.shape(target, default_attributes(target), columns)))
        return Shape(mapper, attributes, joined)


def build(query: Query, variant: str) -> Built:
    """Return the statement of a query.

    `variant` is `rows`, `count` (one number), `exists` (a row or none), `keys` (primary keys only) or `delete`.
    """
    clauses = query.clauses()
    if any(kind == "compound" for kind, _ in clauses):
        return _build_compound(query, clauses, variant)
    built = Built()
    root = query.root
    wrap = variant == "count" and any(
        kind in ("limit", "offset", "distinct", "group_by", "having") for kind, _ in clauses
    )
    grouped = any(kind in ("group_by", "having") for kind, _ in clauses)
    builder = SelectBuilder(root.source)
    if variant == "count" and not wrap:
        builder.columns(func.count())
        builder.skip(root.binds)
    elif variant == "keys" or (variant == "exists" and not grouped):
        keys = root.source.table.primary_key or root.source.table.columns[:1]
        builder.columns(*[Column(root.source, column) for column in keys])
        builder.skip(root.binds)
    else:
        _select(builder, query, clauses, built)
    quiet = variant in ("count", "exists")
    for kind, clause in clauses:
        if kind == "where":
            builder.where(*clause)
        elif kind == "order_by":
            if quiet and not wrap:
                builder.skip([bind for expression in clause for bind in expression.binds])
            else:
                builder.order_by(*clause)
        elif kind == "annotate":
            if variant != "rows" and not wrap:
                builder.skip([bind for label in clause for bind in label.binds])
                continue
            builder.columns(*clause)
        elif kind == "join":
            how, source, on = clause
            builder.join(source, how, on)
        elif kind == "limit":
            if clause is not None:
                builder.limit(Literal(clause, INTEGER))
        elif kind == "offset":
            if clause is not None:
                builder.offset(Literal(clause, INTEGER))
        elif kind == "group_by":
            builder.group_by(*clause)
        elif kind == "having":
            builder.having(*clause)
        elif kind == "distinct":
            builder.distinct(*clause)
        elif kind == "with_cte":
            builder.with_cte(clause)
        elif kind == "for_update":
            built.locks = True
            nowait, skip_locked, of = clause
            builder.for_update(nowait=nowait, skip_locked=skip_locked, of=of)
    built.statement = builder.build()
    if wrap:
        built.statement = _counted(built.statement)
    return built


def _counted(statement: Any) -> Any:
    names = [f"c{number}" for number in range(len(statement.columns))]
    table = QueryTable("counted", statement, "query", names)
    return SelectBuilder(Source(table)).columns(func.count()).build()


def _select(builder: SelectBuilder, query: Query, clauses: list[tuple[str, Any]], built: Built) -> None:
    root = query.root
    if root.mapper is None:
        columns: list[Any] = []
        for item in root.items:
            if isinstance(item, Expression):
                columns.append(item)
                built.parts.append(item.type)
            else:
                tree = JoinTree(None, item.source)
                built.parts.append(tree.shape(item, default_attributes(item), columns))
            built.labels.append(label_of(item))
        builder.columns(*columns)
        for kind, clause in clauses:
            if kind == "annotate":
                built.parts += [label.type for label in clause]
                built.labels += [label.name for label in clause]
        return
    mapper = root.mapper
    tree = JoinTree(None, root.source)
    only: Optional[set[str]] = None
    defer: set[str] = set()
    for kind, clause in clauses:
        if kind == "select_related":
            for path in clause:
                tree.add(path)
        elif kind == "only":
            only = set(clause) if only is None else only | set(clause)
        elif kind == "defer":
            defer |= set(clause)
        elif kind == "include":
            built.includes += clause
        elif kind == "lazy":
            built.lazy = clause
        elif kind == "annotate":
            built.extras += [(label.name, label.type) for label in clause]
    attributes = default_attributes(mapper)
    if only is not None:
        attributes = tuple(a for a in mapper.columns if a.name in only or a in mapper.pk)
    attributes = tuple(a for a in attributes if a.name not in defer or a in mapper.pk)
    columns = []
    built.shape = tree.shape(mapper, attributes, columns)
    builder.columns(*columns)


def _build_compound(query: Query, clauses: list[tuple[str, Any]], variant: str) -> Built:
    start = next(index for index, (kind, _) in enumerate(clauses) if kind == "compound")
    first = query
    for _ in range(len(clauses) - start):
        assert first.parent is not None
        first = first.parent
    head = build(first, "rows")
    builder = CompoundBuilder(first)
    for kind, clause in clauses[start:]:
        if kind == "compound":
            builder.add(*clause)
        elif kind == "order_by":
            builder.order_by(*clause)
        elif kind in ("limit", "offset"):
            if clause is not None:
                getattr(builder, kind)(Literal(clause, INTEGER))
        elif kind == "include":
            head.includes += clause
        elif kind == "lazy":
            head.lazy = clause
        else:
            raise QueryError(
                f"{kind}() after union(), intersect() or except_() is not possible; put it before"
            )
    head.statement = builder.build()
    if variant in ("count", "exists"):
        head.statement = _counted(head.statement)
    elif variant != "rows":
        raise QueryError("update() and delete() do not work on union(), intersect() and except_()")
    return head


def build_update(query: Query, values: dict[str, Any]) -> Any:
    """Return the UPDATE of all rows that the query's conditions select."""
    mapper = query.root.mapper
    if mapper is None:
        raise QueryError("update() needs a query for objects, not for columns")
    builder = UpdateBuilder(mapper.source)
    for name, value in values.items():
        attribute, relation = mapper.resolve(name)
        if attribute is not None:
            builder.set(attribute.column, value)
            continue
        if not relation.owns_key:
            raise QueryError(f"update(): {mapper.name}.{name} has no column in this table")
        key = None if value is None else relation.target.key(value)
        keys = (key,) * len(relation.local) if key is None else (key if isinstance(key, tuple) else (key,))
        for local, part in zip(relation.local, keys):
            builder.set(local.column, part)
    return _conditions(builder, query, "update")


def build_delete(query: Query) -> Any:
    """Return the DELETE of all rows that the query's conditions select."""
    mapper = query.root.mapper
    if mapper is None:
        raise QueryError("delete() needs a query for objects, not for columns")
    return _conditions(DeleteBuilder(mapper.source), query, "delete")


def _conditions(builder: Any, query: Query, what: str) -> Any:
    clauses = query.clauses()
    ignored = ("order_by", "include", "select_related", "lazy", "only", "defer")
    if all(kind == "where" or kind in ignored for kind, _ in clauses):
        for kind, clause in clauses:
            if kind == "where":
                builder.where(*clause)
        return builder.build()
    mapper = query.root.mapper
    if any(kind in ("group_by", "having", "compound") for kind, _ in clauses) or len(mapper.pk) != 1:
        raise QueryError(f"{what}() works with where(), filter(), join(), order_by() and limit()")
    keys = KeysQuery(query)
    column = Column(mapper.source, mapper.pk[0].column)
    builder.where(column.in_(keys))
    return builder.build()


class KeysQuery(Selectable):
    """The primary keys that a query selects, as a subquery."""

    __slots__ = ("binds", "key", "query")

    def __init__(self, query: Query) -> None:
        self.query = query
        self.key = ("keys", query.key)
        self.binds = query.binds

    def statement(self) -> Any:
        return build(self.query, "keys").statement
