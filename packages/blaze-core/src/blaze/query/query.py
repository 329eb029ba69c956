"""The immutable query: a chain of clauses whose key and values grow as it is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Optional, TypeVar, Union

from blaze.core.inheritance import family_attributes
from blaze.core.parts import Part
from blaze.core.paths import RelationPath
from blaze.errors import QueryError
from blaze.query.aliases import Alias
from blaze.query.cut import WHOLE, Cut
from blaze.query.lookups import Names, lookup, negation, q_expression
from blaze.query.q import Q
from blaze.query.root import Root, derived_query
from blaze.sql.columns import Column
from blaze.sql.derived import CTE, Derived
from blaze.sql.expressions import Expression, Label, Logical, ScalarSubquery
from blaze.sql.expressions import Literal as BoundLiteral
from blaze.sql.selectable import Selectable
from blaze.sql.walk import too_deep

if TYPE_CHECKING:
    from typing_extensions import Self

    from blaze.query.manager import Model

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper

R = TypeVar("R", covariant=True)

Condition = Expression[Optional[bool]]
Path = Union[type["Model"], str]  # to a checker a relation on the class is the target's class
Joinable = Union[Path, CTE, Derived]

_new = object.__new__
_LAZY = ("batch", "raise")


class Query(Selectable, Generic[R]):
    """What `Select` and the query sets share: everything that builds; `R` is the item of the result.

    A query is a link of a chain: its root, the query before it, and one clause. Nothing is resolved until its
    statement is needed; `key` finds the compiled statement, `binds` are its values in the order of building.
    """

    __slots__ = ("binds", "clause", "key", "kind", "made", "parent", "root", "session")

    root: Root
    parent: Optional[Query[Any]]
    kind: str
    clause: Any
    session: Any
    made: Any  # the statement, once it was needed as a subquery

    if TYPE_CHECKING:

        def __result__(self) -> list[R]: ...

    @classmethod
    def start(cls, root: Root, session: Any = None) -> Self:
        """Return a query without clauses."""
        made = _new(cls)
        made.root = root
        made.parent = None
        made.kind = ""
        made.clause = None
        made.key = root.key
        made.binds = root.binds
        made.session = session
        return made

    def extended(self, kind: str, clause: Any, key: Any, binds: tuple[Any, ...] = ()) -> Self:
        """Return the query with one more clause."""
        made = _new(self.__class__)
        made.root = self.root
        made.parent = self
        made.kind = kind
        made.clause = clause
        made.key = (self.key, kind, key)
        made.binds = self.binds + binds if binds else self.binds
        made.session = self.session
        return made

    def clauses(self) -> list[tuple[str, Any]]:
        """Return the clauses in the order in which they were added."""
        found: list[tuple[str, Any]] = []
        query: Optional[Query[Any]] = self
        while query is not None and query.parent is not None:
            found.append((query.kind, query.clause))
            query = query.parent
        found.reverse()
        return found

    def has(self, kind: str) -> bool:
        """Whether a clause of this kind was added."""
        query: Optional[Query[Any]] = self
        while query is not None:
            if query.kind == kind:
                return True
            query = query.parent
        return False

    def without(self, kind: str) -> Self:
        """Return the query without its clauses of one kind."""
        links: list[Query[Any]] = []
        query: Optional[Query[Any]] = self
        while query is not None and query.parent is not None:
            links.append(query)
            query = query.parent
        made = type(self).start(self.root, self.session)
        for link in reversed(links):
            if link.kind != kind:
                assert link.parent is not None
                made = made.extended(
                    link.kind, link.clause, link.key[2], link.binds[len(link.parent.binds) :]
                )
        return made

    def statement(self) -> Any:
        """Return the SQL statement of the query, for use as a subquery."""
        try:
            return self.made
        except AttributeError:
            from blaze.query.build import build

            self.made = build(self, "rows").statement
            return self.made

    def as_operand(self) -> Selectable:
        """Return the query as a side of a comparison: a query for objects stands for their keys."""
        if self.root.mapper is None:
            return self
        from blaze.query.build import KeysQuery

        return KeysQuery(self)

    def __repr__(self) -> str:
        what = (
            self.root.mapper.name
            if self.root.mapper is not None
            else ", ".join(str(n) for n in self.root.labels)
        )
        return f"<{type(self).__name__} of {what}>"

    def __bool__(self) -> bool:
        raise QueryError("a query has no truth value; use exists(), or all() for a list")

    @property
    def _mapper(self) -> Any:
        mapper = self.root.mapper
        if mapper is None:
            source = self.root.source
            raise QueryError(
                f"this needs a query for objects, as in query({source.name.title()}), not for columns"
            )
        return mapper

    @property
    def _names(self) -> Names:
        return Names(self.root.entity, self._labelled)

    def _expressions(self, kind: str, conditions: Sequence[Any]) -> Self:
        if len(conditions) == 1:
            (only,) = conditions
            if isinstance(only, Expression):
                return self.extended(kind, conditions, only.key, only.binds)
        if not conditions:
            return self
        binds: tuple[Any, ...] = ()
        keys = []
        for condition in conditions:
            if not isinstance(condition, Expression):
                raise QueryError(self._refusal(kind, condition))
            keys.append(condition.key)
            binds += condition.binds
        return self.extended(kind, tuple(conditions), tuple(keys), binds)

    @staticmethod
    def _refusal(kind: str, given: Any) -> str:
        if isinstance(given, bool):
            return (
                f"{kind}() got {given}: a comparison was made in Python; "
                "compare a column, as in Book.price < 20"
            )
        if isinstance(given, Q):
            return f"{kind}() takes expressions; give a Q to filter()"
        return f"{kind}() takes expressions such as Book.price < 20, not {given!r}"

    # --- conditions -------------------------------------------------------------------------------

    def where(self, *conditions: Condition) -> Self:
        """Keep rows for which every expression is true."""
        return self._expressions("where", conditions)

    def filter(self, /, *conditions: Union[Q, Condition], **lookups: Any) -> Self:
        """Keep rows for which every `Q` and every `field__lookup=value` is true."""
        combined = self._condition(conditions, lookups)
        return self if combined is None else self._expressions("where", (combined,))

    def exclude(self, /, *conditions: Union[Q, Condition], **lookups: Any) -> Self:
        """Drop rows for which all of these are true: what `filter` would keep."""
        combined = self._condition(conditions, lookups)
        return self if combined is None else self._expressions("where", (negation(combined),))

    def _condition(self, conditions: Sequence[Any], lookups: dict[str, Any]) -> Any:
        names = self._names
        combined: Any = None
        for condition in conditions:
            if isinstance(condition, Q):
                try:
                    part = q_expression(names, condition)
                except RecursionError:
                    raise too_deep() from None
            elif isinstance(condition, Expression):
                part = condition
            else:
                raise QueryError(f"filter() takes Q objects and lookups, not {condition!r}")
            if part is not None:
                combined = part if combined is None else Logical("AND", combined, part)
        for keyword, value in lookups.items():
            part = lookup(names, keyword, value)
            combined = part if combined is None else Logical("AND", combined, part)
        return combined

    def having(self, *conditions: Condition) -> Self:
        """Keep groups for which every expression is true."""
        return self._expressions("having", conditions)

    def all_rows(self) -> Self:
        """Say that `update()` or `delete()` without a condition means every row of the table."""
        return self.extended("all_rows", None, None)

    # --- order and size ---------------------------------------------------------------------------

    def order_by(self, *keys: Union[Expression[Any], str]) -> Self:
        """Order by columns, expressions (`Book.price.desc()`) or names (`"-price"`); later calls add keys."""
        return self._expressions("order_by", tuple([self._named(key) for key in keys]))

    def group_by(self, *keys: Union[Expression[Any], str]) -> Self:
        """Group by columns, expressions or names."""
        return self._expressions("group_by", tuple([self._named(key) for key in keys]))

    def grouping_sets(self, *groups: Sequence[Union[Expression[Any], str]]) -> Self:
        """Group several times in one query, by each of these lists; an empty one makes one group of all rows.

        Columns that a list does not have are NULL in its rows. Raises `CapabilityError` where the backend has
        no grouping sets.
        """
        named = tuple([tuple([self._named(key) for key in group]) for group in groups])
        if not named:
            raise QueryError("grouping_sets() needs lists of columns: grouping_sets([Book.genre], [])")
        binds = sum([key.binds for group in named for key in group], ())
        return self.extended("grouping", named, tuple([tuple([k.key for k in g]) for g in named]), binds)

    def _named(self, key: Any) -> Any:
        if isinstance(key, Expression):
            return key
        if isinstance(key, RelationPath):
            raise QueryError(f"{key!r} is a relation; order and group by its columns")
        if not isinstance(key, str):
            return key
        descending = key.startswith("-")
        name = key[1:] if descending else key
        found = self._names.path(name.split("__"))
        if isinstance(found, RelationPath):
            raise QueryError(f"{name!r} is a relation; order and group by its columns")
        return found.desc() if descending else found

    def _labelled(self, name: str) -> Any:
        for item in self.root.items:
            if isinstance(item, Label) and item.name == name:
                return item
        for kind, clause in self.clauses():
            if kind == "annotate":
                for label in clause:
                    if label.name == name:
                        return label
        if self.root.mapper is None:
            for item in self.root.items:
                if isinstance(item, Column) and item.column.attribute == name:
                    return item
        return None

    def limit(self, count: Optional[int]) -> Self:
        """Return at most so many rows, after a slice of those of the slice; None is no limit."""
        return self._cut_to(self.cut._replace(limit=_checked("limit", count)))

    def offset(self, count: Optional[int]) -> Self:
        """Skip so many rows, after a slice of those of the slice."""
        return self._cut_to(self.cut._replace(offset=_checked("offset", count)))

    def sliced(self, index: slice) -> Self:
        """Return the query for a slice with non-negative bounds and no step, of a slice if it is one."""
        return self._cut_to(self.cut.sliced(index))

    def _cut_to(self, cut: Cut) -> Self:
        return self.extended("cut", cut, cut.key(), cut.binds())

    @property
    def cut(self) -> Cut:
        """Which rows of the result are kept."""
        query: Optional[Query[Any]] = self
        while query is not None and query.kind != "compound":
            if query.kind == "cut":
                return query.clause  # type: ignore[no-any-return]
            query = query.parent
        return WHOLE

    def distinct(self, *on: Expression[Any]) -> Self:
        """Drop duplicate rows; with columns, keep the first row of each of their values (where the backend
        can).
        """
        if not on:
            return self.extended("distinct", (), None)
        return self._expressions("distinct", on)

    # --- tables -----------------------------------------------------------------------------------

    def join(self, target: Joinable, on: Optional[Condition] = None) -> Self:
        """Join a relation (`Author.books`), or a model `on` a condition; columns of the target can then be
        used.
        """
        return self._join("inner", target, on)

    def left_join(self, target: Joinable, on: Optional[Condition] = None) -> Self:
        """Join like `join`, and keep rows that have no counterpart."""
        return self._join("left", target, on)

    if not TYPE_CHECKING:  # the subclasses say of which rows: a query for objects has none to give

        def right_join(self, target: Joinable, on: Optional[Condition] = None) -> Self:
            """Join like `join`, and keep rows of the target without a counterpart, with NULL for others."""
            return self._join("right", target, on)

        def full_join(self, target: Joinable, on: Optional[Condition] = None) -> Self:
            """Join like `join`, and keep rows without a counterpart of both sides."""
            return self._join("full", target, on)

    def _join(self, kind: str, target: Any, on: Optional[Any]) -> Self:
        if target.__class__ is RelationPath and on is None:
            source = target._source_
            return self.extended("join", (kind, source, None), (kind, source.key))
        if isinstance(target, str):
            target = self._names.path(target.replace(".", "__").split("__"))
        query: Any = None
        if isinstance(target, RelationPath):
            source = target._source_
        elif isinstance(target, (Alias, CTE, Derived)):
            source = target._source_ if isinstance(target, Alias) else target.source
            query = derived_query(source)
            if on is None and isinstance(target, Derived) and target.lateral:  # it has its condition inside
                kind, on = ("cross", None) if kind == "inner" else (kind, BoundLiteral(True))
            elif on is None:
                raise QueryError(f"join({source.path}) needs on=...")
        elif isinstance(target, type) and getattr(target, "__mapper__", None) is not None:
            mapper = target.__mapper__  # type: ignore[attr-defined]
            mapper.registry.configure(mapper)
            source = mapper.source
            if on is None:
                raise QueryError(
                    f"join({target.__name__}) needs on=...; or join a relation such as Author.books"
                )
        else:
            raise QueryError(
                f"join() takes a relation such as Author.books, or a model with on=, not {target!r}"
            )
        if on is not None and not isinstance(on, Expression):
            raise QueryError(self._refusal("join", on))
        key = (kind, source.key, None if query is None else query.key, None if on is None else on.key)
        binds = () if query is None else query.binds
        return self.extended("join", (kind, source, on), key, binds if on is None else binds + on.binds)

    # --- what is loaded ---------------------------------------------------------------------------

    def annotate(self, /, **expressions: Expression[Any]) -> Any:
        """Add computed values; they are attributes of the objects, or further columns of the rows."""
        labels = []
        for name, expression in expressions.items():
            if isinstance(expression, Selectable):
                expression = ScalarSubquery(expression)
            if not isinstance(expression, Expression):
                raise QueryError(self._refusal("annotate", expression))
            if self.root.mapper is not None:
                check_name("annotate", self.root.mapper, name)
            labels.append(expression.label(name))
        return self.computed(labels)

    def computed(self, labels: Sequence[Label[Any]]) -> Self:
        """Return the query with labelled expressions added to what it selects."""
        binds: tuple[Any, ...] = ()
        for label in labels:
            binds += label.binds
        keys = tuple((label.key, label.name) for label in labels)
        return self.extended("annotate", tuple(labels), keys, binds)

    def include(self, /, *paths: Path, **parts: Part[Any]) -> Any:
        """Load relations with the result: one more statement for each, whatever the size.

        A keyword loads a part of a to-many relation (filtered, ordered, limited for each owner) and shows it
        as a tuple under that name: `include(cheap=Author.books.where(Book.price < 20).limit(3))`.
        """
        query = self._load("include", paths) if paths else self
        for name, part in parts.items():
            self._check_part(name, part)
        # What a part holds changes nothing in the statement, so it is no part of the key.
        return query.extended("part", parts, None) if parts else query

    def _check_part(self, name: str, part: Any) -> None:
        mapper = self._mapper
        if not isinstance(part, Part):
            raise QueryError(
                f"include({name}=...) takes a part such as Author.books.where(...), not {part!r}; "
                "a whole relation needs no name"
            )
        if part.path._root_ is not mapper:
            raise QueryError(f"{part!r} does not start at {mapper.name}, which is what the query selects")
        if not name.isidentifier():
            raise QueryError(f"include({name!r}=...): the name of a part must be a Python identifier")
        check_name("include", part.path._relation_.owner, name)

    def prefetch_related(self, *paths: Path) -> Self:
        """Load relations of any kind by one more statement each; names nest: `"author__books"`."""
        return self._load("include", paths)

    def select_related(self, *paths: Path) -> Self:
        """Load to-one relations in the same statement by joins; raise `QueryError` for to-many relations."""
        resolved = self._paths(paths, joined=True)
        for path in resolved:
            many = next((step for step in path._steps_ if step.many), None)
            if many is not None:
                raise QueryError(
                    f"select_related({'.'.join(path._names_)}): {many.owner.name}.{many.name} has many rows; "
                    "use prefetch_related() or include()"
                )
        return self.extended("select_related", resolved, tuple(path._source_.key for path in resolved))

    def _load(self, kind: str, paths: Sequence[Any]) -> Self:
        resolved = self._paths(paths)
        return self.extended(kind, resolved, tuple(path._source_.key for path in resolved))

    def _paths(self, paths: Sequence[Any], joined: bool = False) -> tuple[RelationPath, ...]:
        mapper = self._mapper
        found = []
        for path in paths:
            if isinstance(path, str):
                path = Names(self.root.entity).path(path.replace(".", "__").split("__"))
            if isinstance(path, Part):
                raise QueryError(
                    f"{path!r} is not the whole relation and needs a name: include(some_name=...)"
                )
            if not isinstance(path, RelationPath):
                raise QueryError(f"{path!r} is no relation; give one such as Book.author or 'author'")
            root = path._root_
            if root is not mapper and root not in mapper.lineage and (joined or mapper not in root.lineage):
                raise QueryError(f"{path!r} does not start at {mapper.name}, which is what the query selects")
            found.append(path)
        return tuple(found)

    def only(self, *columns: Union[Column[Any], str]) -> Self:
        """Load these columns and the key; others are loaded when they are first read."""
        names = self._attribute_names(columns)
        return self.extended("only", names, names)

    def defer(self, *columns: Union[Column[Any], str]) -> Self:
        """Leave these columns out; they are loaded when they are first read."""
        names = self._attribute_names(columns)
        return self.extended("defer", names, names)

    def _attribute_names(self, columns: Sequence[Any]) -> tuple[str, ...]:
        mapper = self._mapper
        names = []
        for column in columns:
            if isinstance(column, Column):
                if not any(a.column is column.column for a in family_attributes(mapper)):
                    mapper.attribute_of(column.column)  # says whose it is
                names.append(column.column.attribute)
                continue
            attribute, _ = mapper.resolve(column)
            if attribute is None:
                raise QueryError(f"{mapper.name}.{column} is a relation; only() and defer() take columns")
            names.append(attribute.name)
        return tuple(names)

    def lazy(self, mode: Literal["batch", "raise"]) -> Self:
        """Say what a lazy access on the loaded objects does: `"batch"` loads, `"raise"` raises
        `NotLoadedError`.
        """
        if mode not in _LAZY:
            raise QueryError(f"lazy() takes 'batch' or 'raise', not {mode!r}")
        return self.extended("lazy", mode, mode)

    def for_update(
        self, *, nowait: bool = False, skip_locked: bool = False, of: Union[Path, Sequence[Path]] = ()
    ) -> Self:
        """Lock the rows until the transaction ends, `of` one or more models and relations, else all; raises
        `CapabilityError` where the backend has no row locks.
        """
        return self._lock(False, nowait, skip_locked, of)

    def for_share(
        self, *, nowait: bool = False, skip_locked: bool = False, of: Union[Path, Sequence[Path]] = ()
    ) -> Self:
        """Keep others from changing the rows until the transaction ends, and let them read and share."""
        return self._lock(True, nowait, skip_locked, of)

    def _lock(self, share: bool, nowait: bool, skip_locked: bool, of: Union[Path, Sequence[Path]]) -> Self:
        sources = []
        item: Any
        for item in of if isinstance(of, (list, tuple)) else (of,):
            mapper = getattr(item, "__mapper__", None)
            if mapper is None and not isinstance(item, (RelationPath, Column)):
                name = "for_share" if share else "for_update"
                raise QueryError(f"{name}(of=...) takes models and relations, not {item!r}")
            if isinstance(item, RelationPath):
                sources.append(item._source_)
            else:
                sources.append(item.source if mapper is None else mapper.source)
        clause = (share, nowait, skip_locked, tuple(sources))
        return self.extended("for_update", clause, (*clause[:3], tuple(s.key for s in sources)))

    # --- several queries --------------------------------------------------------------------------

    def with_cte(self, cte: CTE) -> Self:
        """Put a common table expression before the statement."""
        binds = cte.query.binds if cte.step is None else cte.query.binds + cte.step.binds
        return self.extended("with_cte", cte, cte.key, binds)

    def label(self, name: str) -> Label[Any]:
        """Return the query as a value with a name, that of its only column: to select or to compare it."""
        return ScalarSubquery(self).label(name)

    def alias(self, name: str, *, lateral: bool = False) -> Derived:
        """Return the query as a table of that name: `join` it, and use its columns as `.c.price`.

        A `lateral` one may use columns of the query that joins it, which runs it for each of its rows; the
        join needs no condition then.
        """
        return Derived(name, self, lateral=lateral)

    def union(self, *others: Query[Any], all: bool = False) -> Self:
        """Add the rows of other queries of the same shape; duplicates go unless `all`."""
        return self._compound("UNION ALL" if all else "UNION", others)

    def intersect(self, *others: Query[Any]) -> Self:
        """Keep the rows that the other queries have too."""
        return self._compound("INTERSECT", others)

    def except_(self, *others: Query[Any]) -> Self:
        """Drop the rows that the other queries have."""
        return self._compound("EXCEPT", others)

    def _compound(self, operation: str, others: Sequence[Query[Any]]) -> Self:
        query = self
        mapper = self.root.mapper
        for other in others:
            if not isinstance(other, Query):
                raise QueryError(f"{operation} takes queries, not {other!r}")
            if other.root.mapper is not mapper:
                raise QueryError(f"{operation} joins queries for the same: {self!r} is not like {other!r}")
            query = query.extended("compound", (operation, other), (operation, other.key), other.binds)
        return query


def _checked(name: str, count: Optional[int]) -> Optional[int]:
    if count is not None and (count.__class__ is not int or count < 0):
        raise QueryError(f"{name}() takes a whole number from 0 on, not {count!r}")
    return count


def check_name(what: str, mapper: Mapper, name: str) -> None:
    """Raise `QueryError` for a name under which objects of the model cannot show a further value."""
    if name in mapper.attributes or name in mapper.relations:
        raise QueryError(f"{what}({name}=...): {mapper.name} has a field of that name; choose another")
    if name.startswith("_") or hasattr(mapper.model, name):
        raise QueryError(f"{what}({name}=...): {mapper.name} keeps that name for itself; choose another")
