"""The unit of work: what is to be written, and how to undo in memory what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.persistence.detached import ROLLED_BACK
from blaze.persistence.sharing import is_shared

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.identity_map import IdentityMap

Undo = Callable[[], None]


class UnitOfWork:
    """Registers of new, changed and deleted objects and of changed lists, and the undo log of a transaction.

    The registers are dictionaries by `id`, so they keep order and need no hashing of models. The undo log
    holds one closure for each flushed change, in order; a savepoint remembers its length.
    """

    __slots__ = (
        "changed",
        "collections",
        "deleted",
        "identity",
        "moved",
        "mutables",
        "new",
        "renewed",
        "singles",
        "undo",
    )

    def __init__(self, identity: IdentityMap) -> None:
        self.identity = identity
        self.new: dict[int, Any] = {}
        self.changed: dict[int, Any] = {}
        self.deleted: dict[int, Any] = {}
        self.collections: dict[int, RelatedList[Any]] = {}
        # Objects whose JSON or array values have been read: those may change in place.
        self.mutables: dict[int, Any] = {}
        # What the reverse sides of one-to-one relations showed before the first change since the last flush.
        self.singles: dict[tuple[int, str], tuple[Any, Relation, Any]] = {}
        self.undo: list[Undo] = []
        # While changes are taken back: objects that are new again, and relations that point elsewhere again.
        self.renewed: list[Any] = []
        self.moved: list[tuple[Any, Relation]] = []

    @property
    def pending(self) -> bool:
        """Whether a flush may have something to do."""
        return bool(self.new or self.changed or self.deleted or self.collections or self.mutables)

    @property
    def needs_flush(self) -> bool:
        """Whether a flush has something to do, once `sweep` has looked at the mutable values."""
        return bool(self.new or self.changed or self.deleted or self.collections)

    def sweep(self, codecs: Any) -> None:
        """Find values that changed in place; stop watching those that nobody else can reach."""
        for identity, instance in list(self.mutables.items()):
            mapper = type(instance).__mapper__
            if identity in self.new or identity in self.changed or identity in self.deleted:
                continue
            codec = codecs[mapper]
            if any(codec.mutable_changed(instance, index) for index in mapper.mutable_indexes):
                mapper.make_changed(instance)
                self.changed[identity] = instance
            elif not any(
                [is_shared(mapper.columns[index].peek(instance)) for index in mapper.mutable_indexes]  # noqa: C419
            ):
                refreeze(instance)
                del self.mutables[identity]

    # --- taking back ------------------------------------------------------------------------------

    def forget_pending(self) -> None:
        """Undo everything that was not flushed."""
        for changed_list in self.collections.values():
            if changed_list.saved is not None and not changed_list.relation.owner.is_new(changed_list.owner):
                changed_list.restore(changed_list.saved)
        put_back_singles([s for s in self.singles.values() if not s[1].owner.is_new(s[0])])
        self.renewed += self.new.values()
        for instance in self.changed.values():
            restore_loaded(instance)
        for instance in self.mutables.values():
            if not type(instance).__mapper__.is_new(instance):
                refreeze(instance)
        self.new.clear()
        self.changed.clear()
        self.deleted.clear()
        self.collections.clear()
        self.mutables.clear()
        self.singles.clear()

    def undo_to(self, mark: int) -> None:
        """Undo flushed changes in memory, the latest first, down to a length of the log."""
        undo = self.undo
        while len(undo) > mark:
            undo.pop()()
        self._reconnect()

    def _reconnect(self) -> None:
        """After taking back: let keys, loaded objects and lists of the objects concerned agree again."""
        for instance, relation in self.moved:
            if relation.peek(instance) is UNSET:
                known = self.identity[relation.target.model].get(relation.key_of(instance))
                if known is not None:
                    relation.set(instance, known)
        self.moved.clear()
        for instance in self.renewed:
            type(instance).__mapper__.make_new(instance)
            instance._ctx_ = ROLLED_BACK
        for instance in self.renewed:
            mapper = type(instance).__mapper__
            for relation in mapper.relations.values():
                related = relation.peek(instance)
                if related is None or related is UNSET:
                    continue
                if relation.owns_key:
                    if relation.target.is_new(related):
                        relation.take_key(instance, related)
                elif relation.many and not related.is_loaded:
                    related.loaded([])
                elif relation.many and relation.link is None and relation.inverse is not None:
                    points_to = relation.inverse.peek
                    related.keep([item for item in related.peek() if points_to(item) is instance])
        self.renewed.clear()

    # --- entries of the undo log ------------------------------------------------------------------

    def undo_update(self, mapper: Mapper, instance: Any, old: tuple[Any, ...], raws: dict[Any, Any]) -> Undo:
        """Return what gives an updated object its former values."""

        def undo() -> None:
            new_key = mapper.key(instance)
            write_values(mapper, instance, old, raws)
            old_key = mapper.key(instance)
            if old_key != new_key:
                objects = self.identity[mapper.model]
                objects.pop(new_key, None)
                objects[old_key] = instance

        return undo

    def undo_bypass(self) -> Undo:
        """Return what forgets unchanged objects that were loaded after now, and knows the others again."""
        before = {model: dict(objects) for model, objects in self.identity.items()}

        def undo() -> None:
            for model, objects in self.identity.items():
                known = before.get(model, {})
                is_clean = model.__mapper__.is_clean
                for key, instance in list(objects.items()):
                    if known.get(key) is not instance and is_clean(instance):
                        del objects[key]
                for key, instance in known.items():
                    objects.setdefault(key, instance)

        return undo

    def undo_delete(self, mapper: Mapper, instance: Any, key: Any, context: Any) -> Undo:
        """Return what brings a deleted object back."""

        def undo() -> None:
            mapper.make_clean(instance, context)
            self.identity[mapper.model][key] = instance
            if mapper.mutable_indexes:
                self.mutables[id(instance)] = instance

        return undo


def write_values(mapper: Mapper, instance: Any, values: tuple[Any, ...], raws: dict[Any, Any]) -> None:
    """Put a snapshot back: columns, undecoded values, and the loaded objects of relations that moved."""
    moved = set()
    for attribute, value in zip(mapper.columns, values):
        if attribute.mutable:
            continue
        if attribute.key_of is not None and attribute.peek(instance) != value:
            moved.add(attribute.key_of)
        if value is UNSET:
            clear_slot(mapper, instance, attribute.slot)
        else:
            attribute.set(instance, value)
    for attribute, raw in raws.items():
        clear_slot(mapper, instance, attribute.slot)
        if raw is UNSET:
            attribute.set(instance, None)
        else:
            attribute.raw_set(instance, raw)
    for relation in moved:
        forget_related(mapper, instance, relation)


def forget_related(mapper: Mapper, instance: Any, relation: Relation) -> None:
    """Empty a to-one relation whose key was put back; the session fills it again if it knows the object."""
    clear_slot(mapper, instance, relation.slot)
    work = getattr(instance._ctx_.session, "work", None)
    if work is not None:
        work.moved.append((instance, relation))


def put_back_singles(singles: list[tuple[Any, Relation, Any]]) -> None:
    """Show on the reverse sides of one-to-one relations what they showed before."""
    for owner, relation, previous in singles:
        extra = relation.owner.extra(owner)
        if previous is UNSET:
            extra.pop(relation.name, None)
        else:
            extra[relation.name] = previous


def restore_loaded(instance: Any) -> None:
    """Give a changed, unflushed object the values that it was loaded with, and make it clean."""
    mapper = type(instance).__mapper__
    old = mapper.get_old(instance)
    if old is None:
        return
    write_values(mapper, instance, old, {})
    refreeze(instance)
    for relation in mapper.relations.values():
        if relation.owns_key:
            loaded = relation.peek(instance)
            if loaded is UNSET:
                continue
            key = None if loaded is None else relation.target.key(loaded)
            if key != relation.key_of(instance) or (key is None and loaded is not None):
                forget_related(mapper, instance, relation)
    mapper.make_clean(instance, instance._ctx_)


def refreeze(instance: Any) -> None:
    """Drop decoded JSON and array values; the next read decodes what the database holds."""
    mapper = type(instance).__mapper__
    for index in mapper.mutable_indexes:
        attribute = mapper.columns[index]
        if attribute.peek_raw(instance) is not UNSET:
            clear_slot(mapper, instance, attribute.slot)
        elif attribute.peek(instance) is not UNSET:
            attribute.set(instance, None)
