"""The many-to-many part of a flush: rows of join tables and of `through` models."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from blaze.core.specs import UNSET
from blaze.errors import ModelError, SessionError
from blaze.persistence.batches import write_rows
from blaze.persistence.stored import key_before, linked_before, local_before, row_key, value_before
from blaze.plan import Plan
from blaze.sql.keyed import insert_ignoring

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Link
    from blaze.persistence.base import SessionBase
    from blaze.persistence.deletes import Deleter
    from blaze.persistence.updates import Updater

Pairs = dict[tuple[Any, ...], tuple[Any, Any]]  # both keys as statement parameters, and the two objects


def first_key(instance: Any) -> Any:
    """Return the key that a row has before the flush."""
    return key_before(type(instance).__mapper__, instance)


class Linker:
    """The linking part of a flush.

    `unlinked` are loaded objects of `through` models, by identity, whose rows went, `relinked` deleted ones
    whose pairs lists link again; `bridged` are the pairs that got a row of such a model, of which there is no
    object.
    """

    def __init__(self, session: SessionBase, updater: Updater) -> None:
        self.session = session
        self.codecs = session.compilation.codecs
        self.meanwhile = updater.inserter.meanwhile
        self.key_now = updater.key_now
        self.unlinked: dict[int, Any] = {}
        self.relinked: dict[int, Any] = {}
        self.bridged: list[tuple[Mapper, Pairs]] = []
        self.unlinking: set[int] = set()  # lists whose removals are done

    def unlink_objects(self, lists: list[RelatedList[Any]], deleted: dict[int, Any]) -> Plan[None]:
        """Delete the rows of `through` models that lists unlink, before new rows of theirs are inserted, and
        find the deleted objects whose links they make anew.
        """
        through = [found for found in lists if found.relation.link is not None and found.relation.link.model]
        yield from self.write(through, deleted, early=True)
        for identity, instance in deleted.items():
            if identity not in self.unlinked:
                for relation, owner, member in linked_before(self.session.identity, instance):
                    shown = relation.peek(owner)
                    if shown is not UNSET and id(member) in shown.added:
                        self.relinked[identity] = instance

    def write(
        self, lists: list[RelatedList[Any]], deleted: dict[int, Any], early: bool = False
    ) -> Plan[None]:
        """Write the pending links of many-to-many relations: removals first, then additions.

        `early` are removals alone, by the keys that rows have before the flush.
        """
        session = self.session
        removed: dict[Link, Pairs] = {}
        added: dict[Link, Pairs] = {}
        cleared: dict[Link, list[Any]] = {}
        key_of = first_key if early else self.key_now
        for changed_list in lists:
            relation, owner = changed_list.relation, changed_list.owner
            link = relation.link
            if link is None or id(owner) in deleted:
                continue
            key = key_of(owner)
            if key is None:
                continue  # a new object: nothing can be linked to it
            own = self.codecs[relation.owner].key_params(key)
            unlinked = id(changed_list) in self.unlinking
            if self.meanwhile.active and not unlinked:
                self.meanwhile.note_links(changed_list)
            if early:
                self.unlinking.add(id(changed_list))
            if changed_list.cleared and not unlinked:
                cleared.setdefault(link, []).append(own)
            target = self.codecs[relation.target]
            registers = [] if unlinked or changed_list.cleared else [(changed_list.removed, removed)]
            if not early:
                registers.append((changed_list.added, added))
            for register, found in registers:
                for member in register.values():
                    key = key_of(member)
                    if key is not None and id(member) not in deleted:
                        pair = (*own, *target.key_params(key))
                        found.setdefault(link, {})[pair] = owner, member
        if early:
            self.leave_moved(removed, cleared)
        for link, owners in cleared.items():
            self.note_unlinked(link, owners, early)
            yield from write_rows(session, session.link_sql(link, "clear"), owners)
        for link, pairs in removed.items():
            self.note_unlinked(link, pairs, early)
            yield from write_rows(session, session.link_sql(link, "remove"), list(pairs))
        for link, pairs in added.items():
            if link.model is None:
                yield from write_rows(session, session.link_sql(link, "add"), list(pairs))
            else:
                yield from self.insert_through(link, pairs)

    def leave_moved(self, removed: dict[Link, Pairs], cleared: dict[Link, list[Any]]) -> None:
        """Leave the rows alone whose changed `through` objects link other objects by now: an update unlinks
        them.

        Raises `SessionError` for one that leaves an owner whose links are all deleted.
        """
        work = self.session.work
        for instance in work.changed.values() if removed or cleared else ():
            mapper = type(instance).__mapper__
            for relation, near, far in mapper.bridges if id(instance) not in work.deleted else ():
                link = relation.link
                assert link is not None
                codec = self.codecs[mapper]
                held = [(a, value_before(mapper, instance, a)) for a in (*near.local, *far.local)]
                pair = tuple([codec.encode(attribute, value) for attribute, value in held])
                sides = removed.get(link, {}).get(pair)
                if sides is not None:
                    if sides[0] is not near.known(instance) or sides[1] is not far.known(instance):
                        del removed[link][pair]
                        if not removed[link]:
                            del removed[link]
                elif pair[: len(near.local)] in cleared.get(link, ()):
                    owner = near.known(instance)
                    new = near.key_of(instance) if owner in (None, UNSET) else row_key(owner)
                    if new is not None and new != local_before(mapper, instance, near):
                        raise SessionError(
                            f"{near.target.name}.{relation.name} was cleared, which deletes the "
                            f"{mapper.name} with the key {mapper.shown_key(key_before(mapper, instance))}, "
                            f"but that was given another {near.target.name}: flush() after giving it, then "
                            "clear()"
                        )

    def note_unlinked(self, link: Link, keys: Iterable[tuple[Any, ...]], early: bool) -> None:
        """Find the loaded objects of a `through` model whose rows go: told by both keys, or by the first."""
        if link.model is None:
            return
        mapper: Mapper = link.model.__mapper__  # type: ignore[attr-defined]
        codec, gone = self.codecs[mapper], set(keys)
        width = len(next(iter(gone)))
        by_column = {attribute.column: attribute for attribute in mapper.columns}
        parts = [by_column[column] for column in (*link.own, *link.target)[:width]]
        for instance in self.session.identity.of(mapper).values():
            own = type(instance).__mapper__
            held = [value_before(own, instance, a) if early else a.peek(instance) for a in parts]
            if tuple([codec.encode(part, value) for part, value in zip(parts, held)]) in gone:
                self.unlinked[id(instance)] = instance

    def insert_through(self, link: Link, pairs: Pairs) -> Plan[None]:
        """Insert rows of a `through` model with the defaults of its fields; a row that is there stays.

        Raises `ModelError` when a field needs a value that nothing gives.
        """
        mapper: Mapper = link.model.__mapper__  # type: ignore[union-attr]
        by_column = {attribute.column: attribute for attribute in mapper.columns}
        keys = [by_column[column] for column in (*link.own, *link.target)]
        instances = []
        for owner, member in pairs.values():
            sides = [(owner, a) for a in type(owner).__mapper__.pk]
            sides += [(member, a) for a in type(member).__mapper__.pk]
            instance = object.__new__(mapper.model)
            mapper.initialize(instance, **{key.name: a.peek(side) for key, (side, a) in zip(keys, sides)})
            if mapper.version is not None:
                mapper.version.set(instance, 1)
            instances.append(instance)
        first = instances[0]
        attributes = tuple(
            a
            for a in mapper.columns
            if a.spec.generated is None
            and not (a is mapper.identity and a.peek(first) in (None, UNSET))
            and (a.peek(first) is not UNSET or not a.server_generated)
        )
        needed = [a.name for a in attributes if not a.nullable and a.peek(first) is None]
        if needed or len(mapper.tables) > 1:
            why = f"needs a value for {', '.join(needed)}" if needed else "stands in several tables"
            raise ModelError(
                f"{mapper.where}: {why}, so a list cannot make the link: build the {mapper.name} and "
                "add() it to the session"
            )
        statement = insert_ignoring(self.session.dialect, mapper.table, [a.column for a in attributes])
        rows = self.codecs[mapper].taker(attributes, False)(instances)
        yield from write_rows(self.session, statement, rows)
        self.bridged.append((mapper, pairs))

    def gone(self) -> list[Any]:
        """Return the objects whose rows went with a link."""
        return [o for o in self.unlinked.values() if not type(o).__mapper__.is_new(o)]

    def finish(self, deleter: Deleter) -> None:
        """Forget the objects whose rows went, and what lists of `through` objects showed before new rows."""
        work = self.session.work
        gone = self.gone()
        if gone:
            deleter.cascade(deleter.forget(gone, linked=False))
            deleter.leave_lists()
        for mapper, pairs in self.bridged:
            for relation in mapper.key_relations:
                if relation.inverse is None or not relation.inverse.many:
                    continue
                for side in [each for pair in pairs.values() for each in pair]:
                    if not isinstance(side, relation.target.model):
                        continue
                    shown = relation.inverse.peek(side)
                    if shown is not UNSET and shown.is_loaded:
                        work.undo.append(partial(shown.restore, shown.state()))
                        shown.unload()
