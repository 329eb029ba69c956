"""`Insert`, `Update` and `Delete`: writing statements over models, as values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, Literal, Optional, Union, overload

from blaze.core.loaders import Shape, default_attributes
from blaze.core.registry import registry
from blaze.core.specs import UNSET
from blaze.errors import CapabilityError, QueryError
from blaze.query.build import among_keys, assigned, changed_table, completed, disagreement, related_key
from blaze.query.entities import T0, T1, T2, T3, T4, T5, T6, T7, Entity, M
from blaze.query.query import Condition, Query, R
from blaze.query.root import label_of, root_of
from blaze.sql.builders import DeleteBuilder, InsertBuilder, UpdateBuilder
from blaze.sql.columns import Column
from blaze.sql.expressions import Expression
from blaze.sql.selectable import Selectable
from blaze.sql.source import Source

if TYPE_CHECKING:
    from typing_extensions import Self

    from blaze.query.entities import LongRow
    from blaze.query.manager import Model
    from blaze.query.row import Row
    from blaze.sql.statements import Statement

Name = Union[str, Column[Any]]


class Returning(Selectable, Generic[R]):
    """A writing statement that gives results, objects or rows, by `returning(...)`; with columns it can stand
    in a `CTE`.
    """

    if TYPE_CHECKING:

        def __result__(self) -> list[R]: ...


class _Writing(Returning[Any]):
    """What the three share: the model and the RETURNING list. Every method returns a new statement."""

    def __init__(self, model: type[Model]) -> None:
        mapper = getattr(model, "__mapper__", None)
        if mapper is None:
            raise QueryError(f"{type(self).__name__}() takes a model, not {model!r}")
        registry.configure(mapper)
        mapper.require_table()
        self.mapper = mapper
        self.outputs: tuple[Any, ...] = ()

    def _copy(self) -> Self:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.__dict__.pop("_built", None)
        return made

    # As the query of a CTE.

    @property
    def key(self) -> Any:
        return self.statement().key

    @property
    def binds(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.statement().binds

    def statement(self) -> Statement:
        found: Optional[Statement] = self.__dict__.get("_built")
        if found is not None:
            return found
        built: Statement = self._whole(self.output_columns()[0]).build()
        self.__dict__["_built"] = built
        return built

    def _whole(self, columns: Sequence[Any]) -> Any:
        """Return the builder of the statement with all its values."""
        raise NotImplementedError

    @overload
    def returning(self, model: type[M], /) -> Returning[M]: ...
    @overload
    def returning(self, e0: Expression[T0], /) -> Returning[Row[T0]]: ...
    @overload
    def returning(self, e0: Entity[T0], e1: Entity[T1], /) -> Returning[Row[T0, T1]]: ...
    @overload
    def returning(self, e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], /) -> Returning[Row[T0, T1, T2]]: ...
    @overload
    def returning(
        self, e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], e3: Entity[T3], /
    ) -> Returning[Row[T0, T1, T2, T3]]: ...
    @overload
    def returning(
        self, e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], e3: Entity[T3], e4: Entity[T4], /
    ) -> Returning[Row[T0, T1, T2, T3, T4]]: ...
    @overload
    def returning(
        self,
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        /,
    ) -> Returning[Row[T0, T1, T2, T3, T4, T5]]: ...
    @overload
    def returning(
        self,
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        e6: Entity[T6],
        /,
    ) -> Returning[Row[T0, T1, T2, T3, T4, T5, T6]]: ...
    @overload
    def returning(
        self,
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        e6: Entity[T6],
        e7: Entity[T7],
        /,
    ) -> Returning[Row[T0, T1, T2, T3, T4, T5, T6, T7]]: ...
    @overload
    def returning(
        self,
        e0: Entity[Any],
        e1: Entity[Any],
        e2: Entity[Any],
        e3: Entity[Any],
        e4: Entity[Any],
        e5: Entity[Any],
        e6: Entity[Any],
        e7: Entity[Any],
        e8: Entity[Any],
        /,
        *more: Entity[Any],
    ) -> Returning[LongRow]: ...
    def returning(self, *entities: Any) -> Any:
        """Give back columns of the rows, or whole objects (`returning(Book)`), where the backend can."""
        made = self._copy()
        made.outputs = entities
        return made

    def output_columns(self) -> tuple[list[Any], list[Any], list[Optional[str]]]:
        """Return the columns to read back, the parts that rows are made of, and their labels."""
        columns: list[Any] = []
        parts: list[Any] = []
        labels: list[Optional[str]] = []
        for entity in self.outputs:
            if entity is self.mapper.model:
                attributes = default_attributes(self.mapper)
                if any(a.column.table is not self.mapper.table for a in attributes):
                    names = ", ".join(dict.fromkeys(a.column.table.name for a in attributes))
                    raise CapabilityError(
                        f"returning({self.mapper.name}) cannot read its tables {names} at once: give "
                        "columns, or query for the objects afterwards"
                    )
                columns += [Column(self.mapper.source, attribute.column) for attribute in attributes]
                parts.append(Shape(self.mapper, attributes))
                labels.append(self.mapper.name)
            elif isinstance(entity, Expression):
                columns.append(entity)
                parts.append(entity.type)
                labels.append(label_of(entity))
            else:
                raise QueryError(f"returning() takes columns or {self.mapper.name}, not {entity!r}")
        return columns, parts, labels


class Insert(_Writing):
    """INSERT of one row or many: `Insert(Book).values(title="x")`, `.values([{...}, {...}])`.

    Defaults of the model fill what a row leaves out; hooks and tracking are passed by.
    """

    def __init__(self, model: type[Model]) -> None:
        super().__init__(model)
        self.rows: list[Mapping[str, Any]] = []
        self.conflict: Optional[tuple[Any, ...]] = None
        self.conflict_update: Optional[Mapping[Any, Any]] = None

    def values(self, rows: Union[Sequence[Mapping[str, Any]], None] = None, /, **values: Any) -> Self:
        """Add one row by keywords, or many as dictionaries."""
        made = self._copy()
        if rows is not None and values:
            raise QueryError("values() takes one row by keywords or a list of rows, not both")
        if isinstance(rows, (str, Selectable)) or not isinstance(rows, (Iterable, type(None))):
            raise QueryError(f"values() takes one row by keywords or a list of dictionaries, not {rows!r}")
        given: Sequence[Mapping[str, Any]] = (
            [values] if rows is None else [rows] if isinstance(rows, Mapping) else rows
        )
        made.rows = [*self.rows, *given] if self.rows else list(given)
        return made

    def on_conflict(
        self,
        *names: Name,
        do: Optional[Literal["nothing"]] = None,
        update: Optional[Mapping[Any, Any]] = None,
    ) -> Self:
        """Leave the existing row alone (`do="nothing"`), or update it; `excluded(name)` is the new value."""
        if (do is None) == (update is None) or do not in (None, "nothing"):
            raise QueryError('on_conflict() takes do="nothing" or update={...}')
        made = self._copy()
        made.conflict = names
        made.conflict_update = update
        return made

    def attributes(self) -> tuple[Any, ...]:
        """Return the attributes that the rows give or that have defaults, in the order of the columns."""
        mapper = self.mapper
        if not self.rows:
            raise QueryError(f"Insert({mapper.name}) has no rows; give values(...)")
        names: dict[str, None] = dict.fromkeys(self.rows[0])
        width = len(names)
        for row in self.rows:
            if len(row) != width or row.keys() != names.keys():
                names.update(dict.fromkeys(row))
        known = set()
        for name in names:
            if not isinstance(name, str):
                raise QueryError(f"values() takes names of fields, not {name!r}")
            attribute, relation = mapper.resolve(name)
            if attribute is not None and attribute is mapper.discriminator:
                raise QueryError(
                    f"values() of a {mapper.name} leaves out {name!r}: it is {mapper.discriminator_value!r}; "
                    "Insert() takes the class that you mean"
                )
            if attribute is None:
                if not relation.owns_key:
                    raise QueryError(f"{mapper.name}.{name} has no column in this table")
                known.update(relation.local)
            elif attribute.spec.generated is not None:
                raise QueryError(f"{mapper.name}.{name} is generated by the database and cannot be set")
            else:
                known.add(attribute)
        return tuple(
            a
            for a in mapper.columns
            if a in known
            or (a.spec.default is not UNSET or a.spec.default_factory is not None)
            or a is mapper.version
            or a is mapper.discriminator
        )

    def filled(self, attributes: Sequence[Any]) -> Iterable[Sequence[Any]]:
        """Return the rows in the order of the attributes, defaults filled in."""
        mapper = self.mapper
        relations = [r for r in mapper.relations.values() if r.owns_key]
        names = [a.name for a in attributes]
        first = self.rows[0].keys()
        if len(names) > 1 and not any(r.name in first for r in relations):
            with contextlib.suppress(KeyError):  # a row that leaves something out takes the road below
                return list(map(itemgetter(*names), self.rows))
        makers = [_default(mapper, attribute) for attribute in attributes]
        found = []
        for row in self.rows:
            for relation in relations:
                if relation.name in row:
                    row = {**row}
                    for local, part in related_key(relation, row.pop(relation.name)):
                        if row.setdefault(local.name, part) is not part and row[local.name] != part:
                            raise disagreement(relation, local)
            found.append([row[n] if n in row else make() for n, make in zip(names, makers)])
        return found

    def has_expressions(self) -> bool:
        """Whether the database calculates some of the values."""
        return any(is_calculated(value) for row in self.rows for value in row.values())

    def builder(
        self, attributes: Sequence[Any], rows: int, values: Optional[Sequence[Any]] = None
    ) -> InsertBuilder:
        """Return the builder of the statement for so many rows, whose values may be given later."""
        builder = self._builder(attributes, rows)
        builder.plain([None] * (rows * len(attributes)) if values is None else values)
        return self._with_conflict(builder)

    def calculating_builder(self, attributes: Sequence[Any], rows: Sequence[Sequence[Any]]) -> InsertBuilder:
        """Return the builder of the statement for rows of values and expressions."""
        return self._with_conflict(self._builder(attributes, len(rows)).values(rows))

    def _builder(self, attributes: Sequence[Any], rows: int) -> InsertBuilder:
        self.mapper.require_one_table("Insert()", "add_all() or bulk_insert()")
        return InsertBuilder(self.mapper.table, [a.column for a in attributes], rows)

    def _with_conflict(self, builder: InsertBuilder) -> InsertBuilder:
        if self.conflict is not None:
            columns, changes = self.conflict_columns(), self.conflict_changes()
            builder.on_conflict(columns, changes, unique=self.mapper.unique_columns)
        return builder

    def _whole(self, columns: Sequence[Any]) -> Any:
        attributes = self.attributes()
        builder = self.builder(
            attributes, len(self.rows), [v for row in self.filled(attributes) for v in row]
        )
        return builder.returning(*columns)

    def conflict_columns(self) -> list[Any]:
        """Return the table columns of the unique key that a conflict is about."""
        columns: list[Any] = []
        for name in self.conflict or ():
            if isinstance(name, Column):
                columns.append(name.column)
            else:
                columns += assigned(self.mapper, {name: None})
        return columns

    def conflict_changes(self) -> Optional[dict[Any, Any]]:
        """Return what an existing row gets, by table column, the next version and `on_update` values too."""
        if not self.conflict_update:
            return None if self.conflict_update is None else {}
        return completed(self.mapper, self.mapper.table, assigned(self.mapper, self.conflict_update))


def is_calculated(value: Any) -> bool:
    """Whether the database calculates this value."""
    return isinstance(value, (Expression, Selectable))


def _default(mapper: Any, attribute: Any) -> Any:
    spec = attribute.spec
    if attribute is mapper.discriminator:
        return lambda: mapper.discriminator_value
    if spec.default_factory is not None:
        return spec.default_factory
    if spec.default is not UNSET:
        return lambda: spec.default
    if attribute is mapper.version:
        return lambda: 1
    return lambda: None


class _Filtered(_Writing):
    """What `Update` and `Delete` share: conditions, without which they need `all_rows()`."""

    def __init__(self, model: type[Model]) -> None:
        super().__init__(model)
        self.conditions: tuple[tuple[Any, ...], ...] = ()
        self.unfiltered = False

    def where(self, *conditions: Condition) -> Self:
        """Keep to the rows for which every expression is true."""
        for condition in conditions:
            if not isinstance(condition, Expression):
                raise QueryError(f"where() takes expressions such as Book.price < 20, not {condition!r}")
        made = self._copy()
        made.conditions = (*self.conditions, conditions)
        return made

    def all_rows(self) -> Self:
        """Say that every row of the table is meant."""
        made = self._copy()
        made.unfiltered = True
        return made

    def _whole(self, columns: Sequence[Any]) -> Any:
        return self.builder(columns)

    def builder(self, columns: Sequence[Any]) -> Any:
        """Return the builder of the statement."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise `QueryError` when neither conditions nor `all_rows()` were given."""
        if not any(self.conditions) and not self.unfiltered:
            what = type(self).__name__
            raise QueryError(
                f"{what}({self.mapper.name}) without where() would meet every row; say all_rows()"
            )


class Update(_Filtered):
    """UPDATE: `Update(Book).set(price=Book.price * 2).where(Book.id == 1)`."""

    def __init__(self, model: type[Model]) -> None:
        super().__init__(model)
        self.changes: dict[Any, Any] = {}

    def set(self, values: Optional[Mapping[Any, Any]] = None, /, **named: Any) -> Self:
        """Assign values or expressions, by keywords or by a dictionary of columns."""
        made = self._copy()
        made.changes = {**self.changes, **assigned(self.mapper, {**(values or {}), **named})}
        return made

    def builder(self, columns: Sequence[Any]) -> Any:
        """Return the builder of the statement."""
        self.check()
        table = changed_table(self.mapper, self.changes)
        if table is self.mapper.table:
            builder = UpdateBuilder(self.mapper.source)
            for group in self.conditions:
                builder.where(*group)
        else:
            if columns:
                self.mapper.require_one_table("returning()", "a query for them afterwards")
            builder = UpdateBuilder(Source(table)).where(among_keys(table, self.rows()))
        for column, value in completed(self.mapper, table, self.changes).items():
            builder.set(column, value)
        return builder.returning(*columns)

    def rows(self) -> Query[Any]:
        """Return the query for what the conditions select."""
        query: Query[Any] = Query.start(root_of((self.mapper.model,)))
        for group in self.conditions:
            query = query.where(*group)
        return query.all_rows() if self.unfiltered else query


class Delete(_Filtered):
    """DELETE: `Delete(Book).where(Book.price == 0)`."""

    def builder(self, columns: Sequence[Any]) -> Any:
        """Return the builder of the statement."""
        self.check()
        builder = DeleteBuilder(self.mapper.source)
        for group in self.conditions:
            builder.where(*group)
        return builder.returning(*columns)
