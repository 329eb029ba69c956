"""Relation paths: what `Book.author` is on the class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Optional, Union

from blaze.core.parts import BEGINNINGS, Part
from blaze.errors import QueryError
from blaze.sql.columns import Column
from blaze.sql.expressions import Expression, InQuery, IsNull, Logical, Not
from blaze.sql.functions import RowValue
from blaze.sql.rows import RowInList
from blaze.sql.selectable import Selectable

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.sql.source import Source


class RelationPath:
    """A walk from a model along its relations: `Book.author`, `Book.author.publisher`.

    Its attributes are the target's columns and relations (`Book.author.name` joins by itself). Comparing the
    path with an object compares keys; `is_(None)` and `is_not(None)` ask whether there is a related row.
    `where`, `order_by` and `limit` begin a `Part` of a to-many relation, unless the target has such a field.
    Columns and further paths are made at the first access and kept as attributes.
    """

    def __init__(self, root: Mapper, steps: tuple[Relation, ...], source: Source) -> None:
        self._root_ = root
        self._steps_ = steps
        self._source_ = source
        self._mapper_ = steps[-1].owner
        self._target_ = steps[-1].target

    @property
    def _relation_(self) -> Relation:
        """The last relation of the path."""
        return self._steps_[-1]

    @property
    def _names_(self) -> tuple[str, ...]:
        """The names of the relations from the root."""
        return tuple(step.name for step in self._steps_)

    def __repr__(self) -> str:
        return f"<path {self._root_.name}.{'.'.join(self._names_)}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self.__dict__[name] = self._make(name)
        return found

    def _make(self, name: str) -> Any:
        target = self._target_
        if name in BEGINNINGS and name not in target.attributes and name not in target.relations:
            return getattr(Part(self), name)
        attribute, relation = self._target_.resolve(name)
        if attribute is not None:
            return self._column(attribute)
        assert relation is not None
        return RelationPath(self._root_, (*self._steps_, relation), relation.extend(self._source_))

    def _column(self, attribute: Attribute) -> Column[Any]:
        last = self._steps_[-1]
        if last.owns_key and attribute in last.remote:
            # The key stands in the owner's own table: no join is needed to read it.
            local = last.local[last.remote.index(attribute)]
            return Column(self._parent_source(), local.column)
        return self._target_.column_at(self._source_, attribute)

    def _parent_source(self) -> Source:
        source = self._source_.parent
        if self._relation_.link is not None:
            assert source is not None
            source = source.parent
        assert source is not None
        return source

    def __eq__(self, other: object) -> Any:
        return self._compare(other)

    def __ne__(self, other: object) -> Any:
        return Not(self._compare(other))

    __hash__ = object.__hash__

    def is_(self, other: Optional[object]) -> Expression[bool]:
        """Test for having no related row (`None`), or for being related to an object."""
        return self._compare(other)

    def is_not(self, other: Optional[object]) -> Expression[bool]:
        """Test for having a related row (`None`), or for not being related to an object."""
        return Not(self._compare(other))

    def in_(self, objects: Union[Iterable[object], Selectable]) -> Expression[bool]:
        """Test for being related to one of the objects, or of a query's; None means to none."""
        columns = self._key_columns()
        if isinstance(objects, Selectable):
            left = columns[0] if len(columns) == 1 else RowValue(columns)
            return InQuery(left, objects.as_operand(), False)
        listed = list(objects)
        keys = [self._key(item) for item in listed if item is not None]
        found = columns[0].in_(keys) if len(columns) == 1 else RowInList(columns, keys)
        return found if len(keys) == len(listed) else found | self._compare(None)

    def not_in(self, objects: Union[Iterable[object], Selectable]) -> Expression[bool]:
        """Test for being related to another object than these: the same as `~in_()`. As with `!=`, it is
        not true where there is no related row; `exclude(relation__in=...)` keeps such rows.
        """
        return Not(self.in_(objects))

    def _key(self, item: object) -> Any:
        if not isinstance(item, self._target_.model):
            raise QueryError(
                f"{self!r} is compared with a {type(item).__name__}; give a {self._target_.name} or None"
            )
        key = self._target_.key(item)
        if key is None:
            raise QueryError(
                f"{self!r} is compared with a {self._target_.name} that has no key yet; flush it first"
            )
        return key

    def _key_columns(self) -> list[Column[Any]]:
        return [self._column(attribute) for attribute in self._target_.pk]

    def _compare(self, other: object) -> Expression[bool]:
        relation = self._relation_
        if other is None:
            if relation.owns_key:
                return self._column(relation.telling).is_(None)
            return Not(IsNull(Column(self._source_, self._target_.pk[0].column), True))
        return self._equal(self._key_columns(), self._key(other))

    @staticmethod
    def _equal(columns: list[Column[Any]], key: Any) -> Expression[bool]:
        if len(columns) == 1:
            equal: Expression[bool] = columns[0] == key
            return equal
        condition: Expression[bool] = columns[0] == key[0]
        for column, value in zip(columns[1:], key[1:]):
            condition = Logical("AND", condition, column == value)
        return condition
