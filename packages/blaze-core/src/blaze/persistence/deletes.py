"""Delete rows, and do to loaded objects what the database does by its rules on delete."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.context import LoadContext
from blaze.core.instances import set_class
from blaze.core.specs import UNSET
from blaze.persistence.batches import write_rows
from blaze.persistence.detached import Gone
from blaze.persistence.inserts import by_mapper
from blaze.persistence.key_changes import KeyMoves
from blaze.persistence.referred import refuse_referred
from blaze.persistence.stored import key_before, keys_before, local_before, text_before, value_before
from blaze.persistence.unit_of_work import put_back_singles, restore_loaded, write_values
from blaze.persistence.updates import stale
from blaze.plan import Plan
from blaze.sql.keyed import delete_by_key

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.base import SessionBase
    from blaze.persistence.meanwhile import Meanwhile
    from blaze.persistence.unit_of_work import UnitOfWork
    from blaze.persistence.updates import UpdatedGroup


# What the database does to the rows that refer to a deleted one, beside refusing.
RULES = ("CASCADE", "SET NULL", "SET DEFAULT")


class Deleter:
    """The deleting part of a flush."""

    def __init__(
        self, session: SessionBase, meanwhile: Optional[Meanwhile] = None, moves: Optional[KeyMoves] = None
    ) -> None:
        self.session = session
        self.meanwhile = meanwhile  # of a flush: what was sent is not what the rules on delete leave
        self.work = session.work
        self.codecs = session.compilation.codecs
        self.lists: dict[Relation, list[Any]] = {}
        self.leaving: dict[int, tuple[RelatedList[Any], set[int]]] = {}  # lists, and who leaves them
        self.gone = LoadContext(Gone(session.compilation.codecs))
        self.moves = (
            KeyMoves(False) if moves is None else moves
        )  # what changed keys before the rows are deleted

    def delete_all(self, order: list[Mapper], instances: dict[int, Any]) -> Plan[None]:
        """Delete the rows of objects, those that refer to others first; `order` is that of inserts.

        Nullable keys that go round in a circle are emptied before.
        """
        groups: dict[Mapper, list[Any]] = {}
        for instance in instances.values():
            groups.setdefault(type(instance).__mapper__.base, []).append(instance)
        present = [base for base in reversed(order) if base in groups]
        before: dict[Mapper, set[Any]] = {}  # the keys of rows that go earlier
        emptied: dict[Relation, list[Any]] = {}
        features = self.session.dialect.features
        apart = features.row_batches and not features.keys_checked_late
        parts: dict[Mapper, list[list[Any]]] = {}
        for base in present:
            own = {m: [r for r in m.key_relations if r.target.base is base] for m in by_mapper(groups[base])}
            if any(own.values()):
                levels = leaves_first(own, groups[base])
                groups[base] = [o for level in levels for o in level]
                if apart:
                    parts[base] = levels
            nullable = {
                m: [r for r in m.key_relations if r.nullable and (r in own[m] or r.target.base in before)]
                for m in own
            }
            earlier = before[base] = set()
            for instance in groups[base] if any(nullable.values()) or len(present) > 1 else ():
                mapper = type(instance).__mapper__
                for relation in nullable[mapper]:
                    if local_before(mapper, instance, relation) in before[relation.target.base]:
                        emptied.setdefault(relation, []).append(instance)
                earlier.add(key_before(mapper, instance))
        yield from self.empty(emptied)
        for base in present:
            yield from self.delete_links(groups[base])
            for part in parts.get(base) or (groups[base],):
                yield from self.delete_rows(base, part)

    def refuse_referred(self, instances: Iterable[Any]) -> Plan[None]:
        """Raise `ForeignKeyError` where rows still refer to deleted ones and the database minds not."""
        if self.session.dialect.features.foreign_keys:
            return
        groups: dict[Mapper, list[Any]] = {}
        for instance in instances:
            groups.setdefault(type(instance).__mapper__.base, []).append(instance)
        gone = {base: keys_before(base, group) for base, group in groups.items()}
        yield from refuse_referred(self.session, gone)

    def empty(self, holders: dict[Relation, list[Any]]) -> Plan[None]:
        """Let rows no longer refer to others, by the objects that hold the keys."""
        for relation, instances in holders.items():
            codec = self.codecs[relation.owner]
            nothing = (None,) * len(relation.own)
            keys = self.moves.keys(relation.owner, instances)
            params = [(*nothing, *codec.key_params(key)) for key in keys]
            yield from write_rows(self.session, codec.update_keyed(relation.own, False), params)

    def delete_links(self, instances: list[Any]) -> Plan[None]:
        """Delete the rows of join tables that name objects of one hierarchy."""
        codec = self.codecs[type(instances[0]).__mapper__.base]
        links: dict[Any, list[Any]] = {}
        for mapper, group in by_mapper(instances).items():
            for relation in mapper.relations.values():
                if relation.link is not None and relation.link.model is None:
                    keys = codec.keys_params(self.moves.keys(mapper, group))
                    links.setdefault(relation.link, []).extend(keys)
        for link, keys in links.items():
            yield from write_rows(self.session, self.session.link_sql(link, "clear"), keys)

    def delete_rows(self, base: Mapper, instances: list[Any]) -> Plan[None]:
        """Delete the rows of objects of one hierarchy."""
        codec, version = self.codecs[base], base.version
        params = codec.keys_params(self.moves.keys(base, instances))
        if version is not None:
            params = [
                (*row, value_before(type(o).__mapper__, o, version)) for row, o in zip(params, instances)
            ]
        count = yield from write_rows(self.session, codec.delete_keyed, params)
        if count >= 0 and count != len(instances):
            raise stale("DELETE", base, instances, count)
        dialect = self.session.dialect
        if dialect.features.foreign_keys:
            return  # the database deletes the rest of joined rows
        for mapper, group in by_mapper(instances).items():
            params = codec.keys_params(self.moves.keys(mapper, group))
            for table in mapper.tables:
                if table is not base.table:
                    yield from write_rows(
                        self.session, delete_by_key(dialect, table, table.primary_key), params
                    )

    def forget(self, instances: Iterable[Any], linked: bool = True) -> dict[Mapper, set[Any]]:
        """Take deleted, clean objects out of identity map and loaded lists; return their keys.

        `linked` says that many-to-many lists may still show what objects of a `through` model linked.
        """
        groups: dict[Mapper, list[Any]] = {}
        for instance in instances:
            groups.setdefault(type(instance).__mapper__, []).append(instance)
        return {mapper: self._forget(mapper, group, linked) for mapper, group in groups.items()}

    def _forget(self, mapper: Mapper, instances: list[Any], linked: bool) -> set[Any]:
        work, model = self.work, mapper.model
        objects = work.identity[model]
        keys = mapper.keys(instances)
        work.undo.append(Deleted(work, mapper, keys, instances).undo)
        inverses = [(r, r.inverse) for r in mapper.relations.values() if r.inverse is not None]
        context = self.gone if mapper.mutable_indexes else None
        for key, instance in zip(keys, instances):
            if objects.get(key) is instance:
                del objects[key]
            for relation, inverse in inverses:
                self.leave(relation, inverse, instance)
            if linked and mapper.bridges:
                for shown, member in bridged(mapper, instance):
                    self.leaving.setdefault(id(shown), (shown, set()))[1].add(id(member))
            set_class(instance, model)
            instance._old_ = None
            instance._ctx_ = context
        for register in (work.changed, work.mutables):
            if register:
                for instance in instances:
                    register.pop(id(instance), None)
        return set(keys)

    def showing(self, relation: Relation, inverse: Relation) -> list[Any]:
        """Return the objects whose loaded lists may show what is deleted; looked up once in a flush."""
        found = self.lists.get(relation)
        if found is None:
            model = relation.target.model
            held = list(self.work.identity.of(relation.target).values())
            # Those that are inserted after the deletion are not in the identity map yet.
            held += [o for o in self.work.new.values() if isinstance(o, model) and relation.target.is_new(o)]
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

    def cascade(self, gone: dict[Mapper, set[Any]], late: Container[tuple[int, Relation]] = ()) -> None:
        """Do to the loaded objects that referred to deleted rows, told by their keys, what the rules say.

        `late` are relations of objects, by identity, that were written after the deleted rows had gone.
        """
        work = self.work
        queue = list(gone.items())
        while queue:
            mapper, keys = queue.pop()
            for relation, objects in self.referring(mapper):
                child = relation.owner
                hit = [
                    o
                    for o in list(objects.values())
                    if relation.key_of(o) in keys and (id(o), relation) not in late
                ]
                if relation.on_delete != "CASCADE":
                    for instance in hit:
                        work.undo.append(work.undo_update(child, instance))
                        relation.take_key(instance, None)
                        relation.set(instance, None)
                        if self.meanwhile is not None:
                            self.meanwhile.completed(instance, relation)
                    continue
                for instance in hit:
                    if not child.is_clean(instance):
                        restore_loaded(instance)
                queue += self.forget(hit).items()

    def referring(self, mapper: Mapper) -> list[tuple[Relation, dict[Any, Any]]]:
        """Return the relations of loaded models that the deletion of a row has an effect on."""
        if not self.session.dialect.features.foreign_keys:
            return []
        return [
            (relation, objects)
            for model, objects in self.work.identity.items()
            if objects
            for relation in model.__mapper__.family_key_relations
            if relation.target.base is mapper.base and relation.on_delete in RULES
        ]


class Deleted:
    """Objects of one model as they are when their rows are deleted: from then on nobody notes changes."""

    __slots__ = ("contexts", "instances", "keys", "mapper", "raws", "relations", "values", "work")

    def __init__(self, work: UnitOfWork, mapper: Mapper, keys: list[Any], instances: list[Any]) -> None:
        self.work = work
        self.mapper = mapper
        self.keys = keys
        self.instances = instances
        self.contexts = [instance._ctx_ for instance in instances]
        # Column by column, which makes no container for each object.
        plain = [column for column in mapper.columns if not column.mutable]
        try:
            self.values = {column: list(map(column.get, instances)) for column in plain}
        except AttributeError:  # not all was loaded
            self.values = {column: list(map(column.peek, instances)) for column in plain}
        mutable = [mapper.columns[index] for index in mapper.mutable_indexes]
        self.raws = {column: [text_before(mapper, o, column) for o in instances] for column in mutable}
        self.relations = {id(o): _shown(mapper, o._extra_) for o in instances if o._extra_}

    def undo(self) -> None:
        """Bring the objects back, as they were."""
        work, mapper = self.work, self.mapper
        objects = work.identity[mapper.model]
        if work.renewed:  # they were added again after their deletion
            back = set(map(id, self.instances))
            work.renewed[:] = [instance for instance in work.renewed if id(instance) not in back]
        for number, (key, instance) in enumerate(zip(self.keys, self.instances)):
            work.absent.pop(id(instance), None)
            mapper.set_context(instance, self.contexts[number])
            values = tuple([None if c.mutable else self.values[c][number] for c in mapper.columns])
            write_values(mapper, instance, values, {c: found[number] for c, found in self.raws.items()})
            mapper.make_clean(instance, self.contexts[number])
            mapper.set_extra(instance, None)
            for name, (found, state) in self.relations.get(id(instance), {}).items():
                mapper.extra(instance)[name] = found
                if state is not None:
                    found.restore(state)
            objects[key] = instance
            if self.raws:
                work.mutables[id(instance)] = instance


def _shown(mapper: Mapper, extra: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what an object shows of its relations, and the states of its lists."""
    many = {relation.name for relation in mapper.relations.values() if relation.many}
    return {name: (found, found.state() if name in many else None) for name, found in extra.items()}


def known_now(relation: Relation, instance: Any) -> Any:
    """Return the object in memory that a to-one relation means, else `UNSET`."""
    return relation.known(instance)


def show_inserted(work: UnitOfWork, mapper: Mapper, instances: list[Any]) -> None:
    """Show new rows on the loaded other sides of what they refer to: in lists that were loaded since they
    were added, and in the many-to-many lists that have their model as `through`.
    """
    coming = referring(work, mapper, instances)
    for instance in instances if mapper.bridges else ():
        for shown, member in bridged(mapper, instance):
            coming.setdefault(id(shown), (shown, []))[1].append(member)
    show_members(work, coming)


def referring(
    work: UnitOfWork, mapper: Mapper, instances: list[Any], owners: Optional[Container[int]] = None
) -> dict[int, tuple[RelatedList[Any], list[Any]]]:
    """Show objects that name what they refer to by its key on the other side of a one-to-one relation, and
    return the loaded lists that are to show them, by identity; `owners` are the only ones concerned.
    """
    coming: dict[int, tuple[RelatedList[Any], list[Any]]] = {}
    for relation in mapper.key_relations:
        inverse = relation.inverse
        if inverse is None or not work.identity[relation.target.model]:
            continue
        for instance in instances:
            if relation.peek(instance) is not UNSET:
                continue
            owner = relation.known(instance)
            if owner is None or owner is UNSET or (owners is not None and id(owner) not in owners):
                continue
            shown = inverse.peek(owner)
            if shown is UNSET:
                continue
            if not inverse.many:
                work.undo.append(partial(put_back_singles, [(owner, inverse, shown)]))
                inverse.put(owner, instance)
            elif shown.is_loaded:
                coming.setdefault(id(shown), (shown, []))[1].append(instance)
    return coming


def show_members(work: UnitOfWork, coming: dict[int, tuple[RelatedList[Any], list[Any]]]) -> None:
    """Show members in loaded lists; a rollback undoes it."""
    for shown, members in coming.values():
        work.undo.append(partial(shown.restore, shown.state()))
        if any(member is UNSET for member in members):
            shown.unload()  # an object that is not in memory: it is read when it is wanted
            continue
        for member in members:
            shown.show(member)


def bridged(
    mapper: Mapper, instance: Any, known: Callable[[Relation, Any], Any] = known_now
) -> Iterator[tuple[RelatedList[Any], Any]]:
    """Yield the loaded many-to-many lists that an object of their `through` model links to a member.

    A member that is not in memory is `UNSET`. `known` may tell what the object linked before.
    """
    for relation, near, far in mapper.bridges:
        owner, member = known(near, instance), known(far, instance)
        extra = None if owner is None or owner is UNSET else owner._extra_
        shown = extra.get(relation.name) if extra else None
        if shown is not None and shown.is_loaded and member is not None:
            yield shown, member


def relink(deleter: Deleter, group: UpdatedGroup) -> None:
    """After an update of `through` objects: let the loaded many-to-many lists follow their keys."""
    work, mapper = deleter.work, group.mapper
    olds = {id(instance): old for instance, old in zip(group.instances, group.olds)}

    def known_before(relation: Relation, instance: Any) -> Any:
        old = olds[id(instance)]
        values = [old[mapper.columns.index(attribute)] for attribute in relation.local]
        if None in values:
            return None
        key = tuple(values) if len(values) > 1 else values[0]
        return work.identity[relation.target.model].get(key, UNSET)

    coming: dict[int, tuple[RelatedList[Any], list[Any]]] = {}
    for instance in group.instances:
        for shown, member in bridged(mapper, instance, known_before):
            deleter.leaving.setdefault(id(shown), (shown, set()))[1].add(id(member))
        for shown, member in bridged(mapper, instance):
            coming.setdefault(id(shown), (shown, []))[1].append(member)
    deleter.leave_lists()
    show_members(work, coming)


def leaves_first(own: dict[Mapper, list[Relation]], instances: list[Any]) -> list[list[Any]]:
    """Return objects of models that refer to themselves in levels, each before those it refers to.

    `own` are these relations of each model; what refers to each other in circles comes last.
    """
    keys = {key_before(type(o).__mapper__, o): o for o in instances}
    parents: dict[int, list[Any]] = {}
    for o in instances:
        mapper = type(o).__mapper__
        found = [keys.get(local_before(mapper, o, r)) for r in own[mapper]]
        parents[id(o)] = [p for p in found if p is not None and p is not o]
    children = dict.fromkeys(parents, 0)
    for above in parents.values():
        for parent in above:
            children[id(parent)] += 1
    ready = [o for o in instances if not children[id(o)]]
    levels: list[list[Any]] = []
    while ready:
        levels.append(ready)
        following = []
        for instance in ready:
            for parent in parents[id(instance)]:
                children[id(parent)] -= 1
                if not children[id(parent)]:
                    following.append(parent)
        ready = following
    done = {id(o) for level in levels for o in level}
    rest = [o for o in instances if id(o) not in done]
    return [*levels, rest] if rest else levels
