"""Delete rows, and do to loaded objects what the database does by its rules on delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blaze.persistence.updates import stale
from blaze.plan import ExecuteMany, Plan

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase


class Deleter:
    """The deleting part of a flush."""

    def __init__(self, session: SessionBase) -> None:
        self.session = session
        self.work = session.work
        self.codecs = session.compilation.codecs

    def delete_all(self, mapper: Mapper, instances: list[Any]) -> Plan[None]:
        """Delete the rows of objects of one model, and the rows of join tables that name them."""
        if not instances:
            return
        codec = self.codecs[mapper]
        for relation in mapper.relations.values():
            if relation.link is not None and relation.link.model is None:
                keys = [codec.key_params(key_before(mapper, o)) for o in instances]
                yield from self.session.send(ExecuteMany(self.session.link_sql(relation.link, "clear"), keys))
        version = mapper.version
        params = []
        for instance in instances:
            row = codec.key_params(key_before(mapper, instance))
            params.append(row if version is None else (*row, value_before(mapper, instance, version)))
        count = yield from self.session.send(ExecuteMany(codec.delete_sql, params))
        if count >= 0 and count != len(instances):
            raise stale("DELETE", mapper, instances, count)

    def follow(self, deleted: list[Any]) -> None:
        """Cascade to the loaded objects whose rows the database deleted or unlinked."""
        work = self.work
        gone: dict[Mapper, set[Any]] = {}
        for instance in deleted:
            mapper = type(instance).__mapper__
            gone.setdefault(mapper, set()).add(mapper.key(instance))
        queue = list(gone.items())
        while queue:
            mapper, keys = queue.pop()
            for relation in mapper.relations.values():
                inverse = relation.inverse
                if (
                    inverse is None
                    or not inverse.owns_key
                    or inverse.on_delete not in ("CASCADE", "SET NULL")
                ):
                    continue
                child = inverse.owner
                objects = work.identity.get(child.model)
                if not objects:
                    continue
                hit = [o for o in list(objects.values()) if inverse.key_of(o) in keys]
                if inverse.on_delete == "SET NULL":
                    for instance in hit:
                        work.undo.append(work.undo_update(child, instance, child.snapshot(instance), {}))
                        inverse.take_key(instance, None)
                        inverse.set(instance, None)
                    continue
                if hit:
                    queue.append((child, {child.key(o) for o in hit}))
                for instance in hit:
                    key = child.key(instance)
                    work.undo.append(work.undo_delete(child, instance, key, instance._ctx_))
                    objects.pop(key, None)
                    work.changed.pop(id(instance), None)
                    child.make_new(instance)


def value_before(mapper: Mapper, instance: Any, attribute: Attribute) -> Any:
    """Return a column's value as the database has it."""
    old = None if mapper.is_clean(instance) else mapper.get_old(instance)
    return attribute.peek(instance) if old is None else old[mapper.columns.index(attribute)]


def key_before(mapper: Mapper, instance: Any) -> Any:
    """Return the key that the row has in the database."""
    if mapper.is_clean(instance):
        return mapper.key(instance)
    values = tuple(value_before(mapper, instance, attribute) for attribute in mapper.pk)
    return values if len(values) > 1 else values[0]
