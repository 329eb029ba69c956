"""Refuse to leave rows behind that refer to deleted ones, where the database has no foreign keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from blaze.core.registry import registry
from blaze.errors import ForeignKeyError
from blaze.persistence.loading import chunks, keys_condition
from blaze.plan import Execute, Plan
from blaze.sql.builders import SelectBuilder

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.persistence.base import SessionBase

__all__ = ["refuse_referred"]


def refuse_referred(session: SessionBase, gone: Mapping[Mapper, list[Any]]) -> Plan[None]:
    """Plan to raise `ForeignKeyError` where rows still refer to deleted keys, which are given by base model.

    With foreign keys the database itself refuses them, or carries out the rules on delete; here nobody does.
    """
    mappers = [model.__mapper__ for model in registry if model.__mapper__.configured]
    for relation in [each for mapper in mappers for each in mapper.key_relations if each.owner is mapper]:
        keys = gone.get(relation.target.base)
        if keys and (yield from _is_there(session, relation.owner)):
            yield from _refuse(session, relation, keys)


def _is_there(session: SessionBase, mapper: Mapper) -> Plan[bool]:
    """Look whether this database has the table of a model: a program may have models of several databases."""
    table = mapper.own_table
    names = (table.name,) if table.schema is None else (table.name, table.schema)
    sql = session.dialect.table_exists(table.schema is not None)
    rows = yield from session.send(Execute(sql, names, list))
    return bool(rows[0][0])


def _refuse(session: SessionBase, relation: Relation, keys: list[Any]) -> Plan[None]:
    child = relation.owner
    columns = [child.column_at(child.source, attribute) for attribute in relation.local]
    for chunk in chunks(session, keys, len(columns)):
        builder = SelectBuilder(child.source).columns(*columns).where(keys_condition(columns, chunk))
        statement = builder.limit(1).build()
        sql, params = session.compilation.kept(statement).render(statement.binds)
        if (yield from session.send(Execute(sql, params, list))):
            raise ForeignKeyError(
                f"{child.name}.{relation.name} still refers to a {relation.target.name} that was deleted:"
                f" {session.dialect.name} has no foreign keys, so nobody carries out"
                f" on_delete={relation.on_delete!r}; delete or change those rows in the same flush or before"
            )
