"""How many objects a to-many relation has, or whether any, asked once for all objects of a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

from blaze.core.paths import RelationPath
from blaze.errors import QueryError
from blaze.persistence.loading import chunks, keys_condition, load_relation
from blaze.persistence.stored import row_key
from blaze.plan import Execute, Plan
from blaze.query.query import Query
from blaze.sql.builders import SelectBuilder
from blaze.sql.columns import Column
from blaze.sql.functions import func
from blaze.sql.source import Source

if TYPE_CHECKING:
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.base import SessionBase


def count_plan(session: SessionBase, listed: RelatedList[Any], only_any: bool) -> Plan[Union[int, bool]]:
    """Return the number of a list's objects, or whether there are any; pending changes are flushed first.

    One statement answers for the lists of all objects of the same result. The answers hold until the session
    writes, commits or rolls back.
    """
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    relation, owner = listed.relation, listed.owner
    if not listed.is_loaded and not relation.owner.is_new(owner):
        found = listed.answer(session.transactions.epoch, only_any)
        if found is not None:
            return found
        if session.closed:
            raise session.refuse_lazy(owner, relation)
        if listed.has_pending:  # without autoflush the database cannot know
            yield from load_relation(session, [owner], relation, owner._ctx_.lazy)
        else:
            yield from _ask(session, _siblings(session, listed), relation, only_any)
            found = listed.answer(session.transactions.epoch, only_any)
            if found is not None:
                return found
    number = len(listed.peek())
    return number > 0 if only_any else number


def _siblings(session: SessionBase, listed: RelatedList[Any]) -> list[RelatedList[Any]]:
    """Return the lists of the same result that are not loaded and have nothing pending, this one included."""
    relation, context = listed.relation, listed.owner._ctx_
    found = [
        relation.collection(other)
        for other in context.members
        if getattr(other, "_ctx_", None) is context and isinstance(other, relation.owner.model)
    ]
    if not any(each is listed for each in found):
        found.append(listed)
    return [each for each in found if not each.is_loaded and not each.has_pending]


def _ask(
    session: SessionBase, lists: Sequence[RelatedList[Any]], relation: Relation, only_any: bool
) -> Plan[None]:
    """Ask the database for all of these lists and let them know."""
    owner, dialect = relation.owner, session.compilation.codecs[relation.owner]
    by_key = {row_key(each.owner): each for each in lists}
    answers: dict[Any, Any] = dict.fromkeys(by_key, False if only_any else 0)
    for keys in chunks(session, list(by_key), len(owner.pk)):
        statement = _any_statement(relation, keys) if only_any else _count_statement(relation, keys)
        sql, params = session.compilation.kept(statement).render(statement.binds)
        for row in (yield from session.send(Execute(sql, params, list))):
            key: Any = tuple([dialect.decode(a, value) for a, value in zip(owner.pk, row)])
            answers[key if len(key) > 1 else key[0]] = True if only_any else row[-1]
    epoch = session.transactions.epoch
    for key, each in by_key.items():
        each.known = (epoch, answers[key])


def _count_statement(relation: Relation, keys: Sequence[Any]) -> Any:
    if relation.link is None:
        source = relation.target.source
        columns = [relation.target.column_at(source, attribute) for attribute in relation.remote]
    else:
        source = Source(relation.link.table, name="link")
        columns = [Column(source, column) for column in relation.link.own]
    builder = SelectBuilder(source).columns(*columns, func.count()).where(keys_condition(columns, keys))
    return builder.group_by(*columns).build()


def _any_statement(relation: Relation, keys: Sequence[Any]) -> Any:
    owner = relation.owner
    columns = [Column(owner.source, attribute.column) for attribute in owner.pk]
    path = RelationPath(owner, (relation,), relation.extend(owner.source))
    builder = SelectBuilder(owner.source).columns(*columns).where(keys_condition(columns, keys))
    return builder.where(path.is_not(None)).build()


def narrowed(query: Query[Any], owner: Any, relation: Relation) -> Query[Any]:
    """Return a query for the target of a to-many relation that keeps to the objects of one owner.

    Raises `QueryError` for an owner that has no key yet.
    """
    target, inverse, link = relation.target, relation.inverse, relation.link
    if inverse is not None:
        return query.where(RelationPath(target, (inverse,), inverse.extend(target.source)) == owner)
    assert link is not None
    pairs = tuple((key.column, column) for key, column in zip(target.pk, link.target))
    joined = Source(link.table, parent=target.source, on=pairs, many=True, name=f"{relation.name}*")
    own = [Column[Any](joined, column) for column in link.own]
    key = relation.owner.key(owner)
    if key is None:
        raise QueryError(f"this {relation.owner.name} has no key yet; flush it before its {relation.name}")
    return query.extended("join", ("inner", joined, None), ("inner", joined.key)).where(
        keys_condition(own, [key])
    )
