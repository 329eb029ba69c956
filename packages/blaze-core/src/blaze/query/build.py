"""Build the statement of a query, once for each shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

from blaze.core.inheritance import family_attributes
from blaze.core.loaders import Shape, default_attributes
from blaze.core.paths import RelationPath
from blaze.core.specs import UNSET
from blaze.errors import CapabilityError, QueryError
from blaze.query.root import label_of
from blaze.sql.builders import CompoundBuilder, DeleteBuilder, SelectBuilder, UpdateBuilder
from blaze.sql.columns import Column
from blaze.sql.derived import QueryTable, distinctly_named
from blaze.sql.expressions import Expression, InQuery, Literal
from blaze.sql.functions import RowValue, func
from blaze.sql.selectable import Selectable
from blaze.sql.source import Source
from blaze.sql.statements import CompoundStatement, SelectStatement
from blaze.sql.values import INTEGER
from blaze.sql.walk import has_aggregate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.query.cut import Cut
    from blaze.query.query import Query
    from blaze.sql.statements import AnyStatement
    from blaze.sql.table import Table


# What makes update() and delete() meet less than the whole table, or is refused there anyhow.
_BEFORE_CUT = {
    "where": "where(), filter() or exclude()",
    "order_by": "order_by()",
    "join": "a join",
    "group_by": "group_by()",
    "grouping": "grouping_sets()",
    "having": "having()",
    "distinct": "distinct()",
}
_NARROWING = ("where", "join", "group_by", "grouping", "having", "compound")

# What leaves a query of objects all rows of their table.
_COMPLETE = ("include", "lazy", "order_by", "part")


class Built:
    """A statement and what its rows make.

    For objects: `shape` and the annotated `extras`. For rows: `parts`, one for each column or entity.
    `includes` are the paths to load afterwards, `lazy` what lazy access on the objects does; `whole` says
    that the objects are all rows of their table.
    """

    __slots__ = (
        "changing", "extras", "includes", "labels", "lazy", "locks", "parts", "portions", "shape",
        "statement", "whole",
    )  # fmt: skip

    def __init__(self) -> None:
        self.statement: AnyStatement
        self.shape: Optional[Shape] = None
        self.extras: list[Any] = []
        self.parts: list[Any] = []
        self.labels: list[Optional[str]] = []
        self.includes: list[RelationPath] = []
        self.whole = False
        self.lazy: Optional[str] = None
        self.portions = False  # whether the query includes parts of relations, whose values it holds itself
        self.locks = False
        self.changing: list[Any] = []  # the writing statements in WITH


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
        for step in path._steps_:
            found = node.children.get(step.name)
            if found is None:
                found = node.children[step.name] = JoinTree(step, step.extend(node.source))
            node = found

    def shape(self, mapper: Mapper, attributes: tuple[Attribute, ...], columns: list[Any]) -> Shape:
        """Return the shape of the rows and collect its columns in the same order."""
        columns += [mapper.column_at(self.source, attribute) for attribute in attributes]
        joined = []
        for child in self.children.values():
            target = child.relation.target
            joined.append((child.relation, child.shape(target, default_attributes(target), columns)))
        return Shape(mapper, attributes, joined)


def _cut_to(builder: Union[SelectBuilder, CompoundBuilder], cut: Cut) -> None:
    """Give the limit and the offset, in the order of their values."""
    most, skipped = cut.most, cut.skipped
    builder.limit(None if most is None else Literal(most, INTEGER))
    builder.offset(None if skipped is None else Literal(skipped, INTEGER))


def _check_cut(cut: str, kind: str) -> None:
    """Raise `QueryError` for a clause after `limit()` or `offset()` that SQL applies before those."""
    name = _BEFORE_CUT.get(kind)
    if name is not None:
        raise QueryError(
            f"{name} after {cut}() or a slice: SQL cuts last, so it would not be about the rows of it. "
            f"Put it before {cut}(), or test for the keys of the slice: "
            ".where(Model.id.in_(Select(Model.id).limit(n)))"
        )


def _missing_objects(mapper: Mapper, how: str, source: Source) -> QueryError:
    """Return the error for objects of a side that a join lets be missing."""
    return QueryError(
        f"{how}_join({source.path}) keeps rows without {mapper.name}, and query({mapper.name}) has nothing "
        f"to give for them: select a row, as in query({mapper.name}, <the other model>), which gives None "
        "for what is missing; or start from the other model with left_join()"
    )


def build(query: Query[Any], variant: str, loading: bool = False) -> Built:
    """Return the statement of a query.

    `variant` is `rows`, `count` (one number), `exists` (a row or none), `keys` (primary keys only) or
    `delete`. What is `loading` objects, not part of another statement, selects the keys of what it includes.
    """
    clauses = query.clauses()
    if any(kind == "compound" for kind, _ in clauses):
        return _build_compound(query, clauses, variant)
    built = Built()
    root = query.root
    grouped = _is_grouped(root, clauses)
    # Of what only items name nothing else would tell whether FROM has it.
    whole = grouped or len(root.places) > 1
    wrap = variant == "count" and (whole or any(kind in ("cut", "distinct") for kind, _ in clauses))
    builder = SelectBuilder(root.source)
    if variant == "count" and not wrap:
        builder.columns(func.count())
        builder.skip(root.item_binds)
    elif variant == "keys" or (variant == "exists" and not whole):
        keys = root.source.table.primary_key or root.source.table.columns[:1]
        builder.columns(*[Column(root.source, column) for column in keys])
        builder.skip(root.item_binds)
    else:
        _select(builder, query, clauses, built, loading)
    quiet = variant in ("count", "exists")
    cut: Optional[str] = None
    for kind, clause in clauses:
        if cut is not None:
            _check_cut(cut, kind)
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
            if root.mapper is not None and how in ("right", "full"):
                raise _missing_objects(root.mapper, how, source)
            builder.join(source, how, on)
        elif kind == "cut":
            cut = clause.name
            _cut_to(builder, clause)
        elif kind == "group_by":
            builder.group_by(*clause)
        elif kind == "grouping":
            builder.grouping("GROUPING SETS", clause)
        elif kind == "having":
            builder.having(*clause)
        elif kind == "distinct":
            builder.distinct(*clause)
        elif kind == "with_cte":
            builder.with_cte(clause)
            if not isinstance(clause.query.statement(), (SelectStatement, CompoundStatement)):
                built.locks = True
                built.changing.append(clause.query)
        elif kind == "for_update":
            built.locks = True
            share, nowait, skip_locked, of = clause
            builder.for_update(share=share, nowait=nowait, skip_locked=skip_locked, of=of)
    built.statement = builder.build()
    if wrap:
        built.statement = _counted(built.statement)
    return built


def _is_grouped(root: Any, clauses: list[tuple[str, Any]]) -> bool:
    """Whether rows stand for groups: by GROUP BY or HAVING, or because only aggregates are selected."""
    if any(kind in ("group_by", "grouping", "having") for kind, _ in clauses):
        return True
    return root.mapper is None and any(
        isinstance(item, Expression) and has_aggregate(item) for item in root.items
    )


def _counted(statement: Any) -> Any:
    if isinstance(statement, SelectStatement):  # not every database lets a subquery have a name twice
        statement.columns = distinctly_named(statement.columns)
    names = [f"c{number}" for number in range(len(statement.columns))]
    table = QueryTable("counted", statement, "query", names)
    return SelectBuilder(Source(table)).columns(func.count()).build()


def _select(
    builder: SelectBuilder, query: Query[Any], clauses: list[tuple[str, Any]], built: Built, loading: bool
) -> None:
    root = query.root
    if root.mapper is None:
        columns: list[Any] = []
        for item in root.items:
            if isinstance(item, Expression):
                columns.append(item)
                built.parts.append(item.type)
            else:
                tree = JoinTree(None, item.source)
                built.parts.append(tree.shape(item.mapper, default_attributes(item.mapper), columns))
            built.labels.append(label_of(item))
        builder.columns(*columns)
        for kind, clause in clauses:
            if kind == "annotate":
                built.parts += [label.type for label in clause]
                built.labels += [label.name for label in clause]
        return
    mapper = root.mapper
    own = mapper.parent is None and not mapper.options.view
    built.whole = own and all(kind in _COMPLETE for kind, _ in clauses)
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
        elif kind == "part":
            built.portions = True
        elif kind == "lazy":
            built.lazy = clause
        elif kind == "annotate":
            built.extras += [(label.name, label.type) for label in clause]
    attributes = default_attributes(mapper)
    # Keys and versions tell which row a change belongs to.
    needed = [*mapper.pk, *[a for a in (mapper.discriminator, mapper.version) if a is not None]]
    for path in built.includes if loading else ():
        needed += path._steps_[0].local if path._steps_[0].owns_key else ()
    if only is not None:
        attributes = tuple(a for a in family_attributes(mapper) if a.name in only or a in needed)
    attributes = tuple(a for a in attributes if a.name not in defer or a in needed)
    columns = []
    built.shape = tree.shape(mapper, attributes, columns)
    builder.columns(*columns)


def _build_compound(query: Query[Any], clauses: list[tuple[str, Any]], variant: str) -> Built:
    start = _operand_end(clauses)
    first = query
    for _ in range(len(clauses) - start):
        assert first.parent is not None
        first = first.parent
    head = build(first, "rows")
    head.whole = False
    builder = CompoundBuilder(first)
    cut: Optional[str] = None
    for kind, clause in clauses[start:]:
        if cut is not None:
            _check_cut(cut, kind)
        if kind == "compound":
            operation, other = clause
            _check_alike(operation, head, build(other, "rows"), query)
            builder.add(operation, other)
        elif kind == "order_by":
            builder.order_by(*clause)
        elif kind == "cut":
            cut = clause.name
            _cut_to(builder, clause)
        elif kind == "include":
            head.includes += clause
        elif kind == "part":
            head.portions = True
        elif kind == "lazy":
            head.lazy = clause
        else:
            raise QueryError(
                f"{kind}() after union(), intersect() or except_() is not possible; put it before"
            )
    head.statement = builder.build()
    _take_types(head)
    if variant in ("count", "exists"):
        head.statement = _counted(head.statement)
    elif variant != "rows":
        raise QueryError("update() and delete() do not work on union(), intersect() and except_()")
    return head


def _operand_end(clauses: list[tuple[str, Any]]) -> int:
    """Return where the last set operation begins whose left side stands by itself, cut or ordered before."""
    end: Optional[int] = None
    settled = False
    for index, (kind, _) in enumerate(clauses):
        if kind == "compound":
            if end is None or settled:
                end = index
            settled = False
        elif kind in ("cut", "order_by"):
            settled = True
    assert end is not None
    return end


def _check_alike(operation: str, head: Built, other: Built, query: Query[Any]) -> None:
    """Refuse members of a set operation whose columns would become other attributes of the objects."""
    pairs = [(head.shape, other.shape), *zip(head.parts, other.parts)]
    if any((isinstance(one, Shape) or isinstance(two, Shape)) and not _same(one, two) for one, two in pairs):
        raise QueryError(
            f"{operation} joins queries that do not load the same as {query!r}: select the same models, with "
            "the same only(), defer() and select_related()"
        )


def _same(one: Any, two: Any) -> bool:
    """Whether two shapes take the same attributes from the same columns."""
    return (
        isinstance(one, Shape)
        and isinstance(two, Shape)
        and (one.mapper, one.attributes) == (two.mapper, two.attributes)
        and [relation for relation, _ in one.joined] == [relation for relation, _ in two.joined]
        and all(_same(first, second) for (_, first), (_, second) in zip(one.joined, two.joined))
    )


def _take_types(head: Built) -> None:
    """Let the values of a set operation be read by its types: the first query may have NULL."""
    types = [placed.expression.type for placed in head.statement.columns]
    place = 0
    for index, part in enumerate(head.parts):
        if isinstance(part, Shape):
            place += len(part.attributes)
        else:
            head.parts[index] = types[place]
            place += 1
    extras = types[len(types) - len(head.extras) :]
    head.extras = [(name, type_) for (name, _), type_ in zip(head.extras, extras)]


def update_builder(query: Query[Any], values: dict[str, Any]) -> UpdateBuilder:
    """Return the UPDATE of all rows that the query's conditions select."""
    mapper = query.root.mapper
    if mapper is None:
        raise QueryError("update() needs a query for objects, not for columns")
    mapper.require_table()
    changes = assigned(mapper, values)
    table = changed_table(mapper, changes)
    builder = UpdateBuilder(mapper.source if table is mapper.table else Source(table))
    for column, value in completed(mapper, table, changes).items():
        builder.set(column, value)
    if table is mapper.table:
        _conditions(builder, query, "update")
    else:
        _check_narrowed(query, "update")
        builder.where(among_keys(table, query))
    return builder


def changed_table(mapper: Mapper, changes: Mapping[Any, Any]) -> Table:
    """Return the one table that an update changes; raise `CapabilityError` for several (joined tables)."""
    tables = list(dict.fromkeys(column.table for column in changes))
    if len(tables) > 1:
        names = " and ".join(table.name for table in tables)
        raise CapabilityError(
            f"an update of {mapper.name} writes one table, and these fields stand in {names}: update them "
            "one after the other"
        )
    return tables[0] if tables else mapper.table


def among_keys(table: Table, query: Query[Any]) -> Expression[bool]:
    """Return the condition for the rows of a joined table that belong to what a query selects."""
    own: list[Any] = [Column(Source(table), column) for column in table.primary_key]
    return InQuery(own[0] if len(own) == 1 else RowValue(own), KeysQuery(query), False)


def automatic(mapper: Mapper, changes: Mapping[Any, Any], place: Callable[[Table], Source]) -> dict[Any, Any]:
    """Return what an UPDATE of these columns sets by itself: the next version, since who has loaded a row
    before must find out, and what `on_update` gives. `place` returns the source by which a table is meant.
    """
    found: dict[Any, Any] = {}
    for index in mapper.on_update_indexes if changes else ():
        attribute = mapper.columns[index]
        if attribute.column not in changes:
            assert attribute.spec.on_update is not None
            found[attribute.column] = attribute.spec.on_update()
    version = mapper.version_column
    if version is not None and version not in changes:
        found[version] = Column(place(version.table), version) + 1
    return found


def completed(mapper: Mapper, table: Table, changes: dict[Any, Any]) -> dict[Any, Any]:
    """Return the changes of an UPDATE of one table with what it sets by itself.

    Another one of joined tables may have some of that: see `reaches_elsewhere`.
    """
    added = automatic(mapper, changes, lambda own: mapper.source if own is mapper.table else Source(own))
    return {**changes, **{column: value for column, value in added.items() if column.table is table}}


def reaches_elsewhere(mapper: Mapper, changes: Mapping[Any, Any]) -> bool:
    """Whether an UPDATE of these columns has to set others, which stand in another, joined table."""
    if len(mapper.tables) == 1 or not changes:
        return False
    columns = [mapper.columns[index].column for index in mapper.on_update_indexes]
    if mapper.version_column is not None:
        columns.append(mapper.version_column)
    table = changed_table(mapper, changes)
    return any(column.table is not table and column not in changes for column in columns)


def assigned(mapper: Mapper, values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return values by table column; names may be fields, relations (given an object or its key) or columns.

    Raises `QueryError` for a name without a column in the model's table, and for an object without a key.
    """
    found: dict[Any, Any] = {}
    for name, value in values.items():
        if isinstance(name, Column):
            attribute = mapper.attributes.get(name.column.attribute)
            if attribute is None or attribute.column is not name.column:
                raise QueryError(f"{name.describe()} is no column of {mapper.name}")
            name = attribute.name
        if isinstance(name, RelationPath):
            name = name._names_[-1]
        attribute, relation = mapper.resolve(name)
        if attribute is not None:
            if attribute is mapper.discriminator:
                raise QueryError(f"{mapper.name}.{name} tells the classes of the rows and cannot be set")
            if attribute.spec.generated is not None:
                raise QueryError(f"{mapper.name}.{name} is generated by the database and cannot be set")
            found[attribute.column] = value
            continue
        assert relation is not None
        if not relation.owns_key:
            raise QueryError(f"{mapper.name}.{name} has no column in this table")
        for local, part in related_key(relation, value):
            if found.setdefault(local.column, part) is not part and found[local.column] != part:
                raise disagreement(relation, local)
    return found


def disagreement(relation: Relation, local: Attribute) -> QueryError:
    """Return the error for a related object that needs another value in a column that relations share."""
    return QueryError(
        f"{relation.owner.name}.{relation.name} and another value that is given do not agree about the "
        f"column {local.column.name!r}"
    )


def related_key(relation: Relation, value: Any) -> Iterable[tuple[Attribute, Any]]:
    """Return the key attributes of a relation and their values for an object, its key, or None."""
    width = len(relation.local)
    where = f"{relation.owner.name}.{relation.name}"
    if value is None:
        return [(local, None) for local in relation.own]
    if isinstance(value, relation.target.model):
        keys = [remote.peek(value) for remote in relation.remote]
        if any(key is None or key is UNSET for key in keys):
            raise QueryError(f"{where} is given a {relation.target.name} that has no key yet; flush it first")
        return zip(relation.local, keys)
    if hasattr(type(value), "__mapper__"):
        raise QueryError(f"{where} is a {relation.target.name}, not a {type(value).__name__}")
    if width == 1:
        return [(relation.local[0], value)]
    if not isinstance(value, (tuple, list)) or len(value) != width:
        raise QueryError(f"{where} is a {relation.target.name} or its key of {width} parts, not {value!r}")
    return zip(relation.local, value)


def delete_builder(query: Query[Any]) -> DeleteBuilder:
    """Return the DELETE of all rows that the query's conditions select."""
    mapper = query.root.mapper
    if mapper is None:
        raise QueryError("delete() needs a query for objects, not for columns")
    mapper.require_table()
    builder = DeleteBuilder(mapper.source)
    _conditions(builder, query, "delete")
    return builder


def _conditions(builder: Any, query: Query[Any], what: str) -> None:
    clauses = query.clauses()
    ignored = ("order_by", "include", "part", "select_related", "lazy", "only", "defer", "all_rows")
    mapper: Any = query.root.mapper
    _check_narrowed(query, what)
    plain = query.root.source is mapper.source
    if plain and all(kind == "where" or kind in ignored for kind, _ in clauses):
        for kind, clause in clauses:
            if kind == "where":
                builder.where(*clause)
        return
    if any(kind in ("group_by", "grouping", "having", "compound") for kind, _ in clauses):
        raise QueryError(
            f"{what}() works with where(), filter(), join(), order_by() and limit(), "
            "not with group_by() or union()"
        )
    own = [Column(mapper.source, attribute.column) for attribute in mapper.pk]
    left: Expression[Any] = own[0] if len(own) == 1 else RowValue(own)
    builder.where(InQuery(left, KeysQuery(query), False))


def _check_narrowed(query: Query[Any], what: str) -> None:
    """Refuse to write every row unless that was said."""
    narrowed = any(kind == "all_rows" or kind in _NARROWING for kind, _ in query.clauses())
    if not narrowed and query.cut.name is None:
        mapper: Any = query.root.mapper
        raise QueryError(
            f"{what}() of every {mapper.name}: give where() or filter(), or say all_rows() if that is meant"
        )


class KeysQuery(Selectable):
    """The primary keys that a query selects, as a subquery."""

    __slots__ = ("binds", "key", "query")

    def __init__(self, query: Query[Any]) -> None:
        self.query = query
        self.key = ("keys", query.key)
        self.binds = query.binds

    def statement(self) -> Any:
        return build(self.query, "keys").statement
