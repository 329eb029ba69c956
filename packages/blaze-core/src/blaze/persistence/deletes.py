"""Delete rows, and do to loaded objects what the database does by its rules on delete."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from blaze.core.context import LoadContext
from blaze.core.specs import UNSET
from blaze.persistence.detached import Gone
from blaze.persistence.unit_of_work import put_back_singles, restore_loaded
from blaze.persistence.updates import stale
from blaze.plan import ExecuteMany, Plan

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.base import SessionBase
    from blaze.persistence.unit_of_work import UnitOfWork


class Deleter:
    """The deleting part of a flush."""

    def __init__(self, session: SessionBase) -> None:
        self.session = session
        self.work = session.work
        self.codecs = session.compilation.codecs
        self.lists: dict[Relation, list[Any]] = {}
        self.leaving: dict[int, tuple[RelatedList[Any], set[int]]] = {}  # lists, and who leaves them
        self.gone = LoadContext(Gone(session.compilation.codecs))

    def delete_all(self, order: list[Mapper], instances: dict[int, Any]) -> Plan[None]:
        """Delete the rows of objects, those that refer to others first; `order` is that of inserts.

        Nullable keys that go round in a circle are emptied before.
        """
        groups: dict[Mapper, list[Any]] = {}
        for instance in instances.values():
            groups.setdefault(type(instance).__mapper__, []).append(instance)
        present = [mapper for mapper in reversed(order) if mapper in groups]
        before: dict[Mapper, set[Any]] = {}  # the keys of rows that go earlier
        emptied: dict[Relation, list[Any]] = {}
        for mapper in present:
            own = [r for r in mapper.key_relations if r.target is mapper]
            if own:
                groups[mapper] = leaves_first(mapper, own, groups[mapper])
            relations = [r for r in mapper.key_relations if r.nullable and (r in own or r.target in before)]
            earlier = before[mapper] = set()
            for instance in groups[mapper] if relations or len(present) > 1 else ():
                for relation in relations:
                    if local_before(mapper, instance, relation) in before[relation.target]:
                        emptied.setdefault(relation, []).append(instance)
                earlier.add(key_before(mapper, instance))
        for relation, holders in emptied.items():
            codec = self.codecs[relation.owner]
            empty = (None,) * len(relation.local)
            params = [(*empty, *codec.key_params(key_before(relation.owner, o))) for o in holders]
            yield from self.session.send(ExecuteMany(codec.update_sql(relation.local, False), params))
        for mapper in present:
            yield from self.delete_rows(mapper, groups[mapper])

    def delete_rows(self, mapper: Mapper, instances: list[Any]) -> Plan[None]:
        """Delete the rows of objects of one model, and the rows of join tables that name them."""
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

    def replaced(
        self, new: dict[Mapper, list[Any]], changed: list[Any], deleted: dict[int, Any]
    ) -> dict[int, Any]:
        """Return the deleted objects whose unique values new objects take over: they go before the inserts.

        One that a changed object still refers to in the database stays: its rule on delete would hit that.
        """
        found: dict[int, Any] = {}
        for mapper, instances in new.items():
            gone = [o for o in deleted.values() if type(o).__mapper__ is mapper]
            for names in mapper.unique_sets() if gone else ():
                attributes = [mapper.attributes[name] for name in names]
                taken = {tuple(coming(o, a) for a in attributes) for o in instances}
                for o in gone:
                    values = tuple(value_before(mapper, o, a) for a in attributes)
                    if values in taken and None not in values:
                        found[id(o)] = o
        if not found:
            return found
        rows: dict[Any, int] = {}
        for o in found.values():
            kind = type(o).__mapper__
            rows[kind, key_before(kind, o)] = id(o)
        for instance in changed:
            mapper = type(instance).__mapper__
            for relation in mapper.key_relations:
                row = (relation.target, local_before(mapper, instance, relation))
                if row in rows:
                    found.pop(rows[row], None)
        referring: dict[Any, list[Any]] = {}
        for o in deleted.values():
            mapper = type(o).__mapper__
            for relation in mapper.key_relations:
                referring.setdefault((relation.target, local_before(mapper, o, relation)), []).append(o)
        waiting = list(found.values())
        while waiting:  # what refers to them goes with them
            target = waiting.pop()
            kind = type(target).__mapper__
            for o in referring.get((kind, key_before(kind, target)), ()):
                if id(o) not in found:
                    found[id(o)] = o
                    waiting.append(o)
        return found

    def forget(self, mapper: Mapper, instance: Any, key: Any) -> None:
        """Take a deleted, clean object out of the session's memory: identity map and loaded lists."""
        work = self.work
        objects = work.identity[mapper.model]
        if objects.get(key) is instance:
            del objects[key]
        work.undo.append(work.undo_delete(mapper, instance, key, instance._ctx_))
        for relation in mapper.relations.values():
            if relation.inverse is not None:
                self.leave(relation, relation.inverse, instance)
        for shown, member in bridged(mapper, instance):
            self.leaving.setdefault(id(shown), (shown, set()))[1].add(id(member))
        mapper.make_new(instance)
        if mapper.mutable_indexes:
            mapper.set_context(instance, self.gone)
        work.changed.pop(id(instance), None)
        work.mutables.pop(id(instance), None)

    def showing(self, relation: Relation, inverse: Relation) -> list[Any]:
        """Return the objects whose loaded lists may show what is deleted; looked up once in a flush."""
        found = self.lists.get(relation)
        if found is None:
            held = self.work.identity[relation.target.model].values()
            found = self.lists[relation] = [
                o for o in held if o._extra_ and getattr(o._extra_.get(inverse.name), "is_loaded", False)
            ]
        return found

    def leave(self, relation: Relation, inverse: Relation, instance: Any) -> None:
        """Take a deleted object out of what the other side of a relation shows."""
        work = self.work
        if relation.owns_key:
            others = [relation.known(instance)]
        elif relation.link is not None:
            others = self.showing(relation, inverse)
        else:
            return
        for other in others:
            extra: Any = None if other is None or other is UNSET else other._extra_
            shown = extra.get(inverse.name) if extra else None
            if shown is None:
                continue
            if not inverse.many:
                if shown is instance:
                    work.undo.append(partial(put_back_singles, [(other, inverse, instance)]))
                    extra[inverse.name] = None
            elif shown.is_loaded and instance in shown:
                self.leaving.setdefault(id(shown), (shown, set()))[1].add(id(instance))

    def leave_lists(self) -> None:
        """Take what was forgotten out of the loaded lists: each list is gone through once."""
        for shown, members in self.leaving.values():
            self.work.undo.append(partial(shown.restore, shown.state()))
            shown.keep([item for item in shown if id(item) not in members])
        self.leaving.clear()

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
                    or inverse.on_delete not in ("CASCADE", "SET NULL", "SET DEFAULT")
                ):
                    continue
                child = inverse.owner
                objects = work.identity.get(child.model)
                if not objects:
                    continue
                hit = [o for o in list(objects.values()) if inverse.key_of(o) in keys]
                if inverse.on_delete != "CASCADE":
                    for instance in hit:
                        work.undo.append(work.undo_update(child, instance, child.snapshot(instance), {}))
                        inverse.take_key(instance, None)
                        inverse.set(instance, None)
                    continue
                if hit:
                    queue.append((child, {child.key(o) for o in hit}))
                for instance in hit:
                    if not child.is_clean(instance):
                        restore_loaded(instance)
                    self.forget(child, instance, child.key(instance))


def bridge(work: UnitOfWork, mapper: Mapper, instances: list[Any]) -> None:
    """Show in loaded many-to-many lists that objects of their `through` model have come."""
    coming: dict[int, tuple[RelatedList[Any], list[Any]]] = {}
    for instance in instances:
        for shown, member in bridged(mapper, instance):
            coming.setdefault(id(shown), (shown, []))[1].append(member)
    for shown, members in coming.values():
        work.undo.append(partial(shown.restore, shown.state()))
        for member in members:
            shown.show(member)


def bridged(mapper: Mapper, instance: Any) -> Iterator[tuple[RelatedList[Any], Any]]:
    """Yield the loaded many-to-many lists that an object of their `through` model links to a member."""
    for relation, near, far in mapper.bridges:
        owner, member = near.known(instance), far.known(instance)
        extra = owner._extra_ if owner not in (None, UNSET) else None
        shown = extra.get(relation.name) if extra else None
        if shown is not None and shown.is_loaded and member not in (None, UNSET):
            yield shown, member


def leaves_first(mapper: Mapper, own: list[Relation], instances: list[Any]) -> list[Any]:
    """Return objects of a model that refers to itself so that each comes before those it refers to."""
    keys = {key_before(mapper, o): o for o in instances}
    parents = {
        id(o): [
            p for p in (keys.get(local_before(mapper, o, r)) for r in own) if p is not None and p is not o
        ]
        for o in instances
    }
    children = dict.fromkeys(parents, 0)
    for found in parents.values():
        for parent in found:
            children[id(parent)] += 1
    ready = [o for o in instances if not children[id(o)]]
    order: list[Any] = []
    while ready:
        instance = ready.pop()
        order.append(instance)
        for parent in parents[id(instance)]:
            children[id(parent)] -= 1
            if not children[id(parent)]:
                ready.append(parent)
    done = {id(o) for o in order}
    return order + [o for o in instances if id(o) not in done]


def coming(instance: Any, attribute: Attribute) -> Any:
    """Return the value that a new object is going to be inserted with, as far as it is known."""
    relation = attribute.key_of
    related = None if relation is None else relation.peek(instance)
    if relation is None or related is None or related is UNSET:
        return attribute.peek(instance)
    return relation.remote[relation.local.index(attribute)].peek(related)


def local_before(mapper: Mapper, instance: Any, relation: Relation) -> Any:
    """Return the key of a foreign key as the database has it."""
    values = tuple(value_before(mapper, instance, attribute) for attribute in relation.local)
    return values[0] if len(values) == 1 else values


def value_before(mapper: Mapper, instance: Any, attribute: Attribute) -> Any:
    """Return a column's value as the database has it."""
    old = None if mapper.is_clean(instance) else mapper.get_old(instance)
    return attribute.peek(instance) if old is None else old[mapper.columns.index(attribute)]


def key_before(mapper: Mapper, instance: Any) -> Any:
    """Return the key that the row has in the database."""
    if mapper.is_clean(instance):
        return mapper.key(instance)
    values = tuple(value_before(mapper, instance, attribute) for attribute in mapper.pk)
    return values[0] if len(values) == 1 else values
