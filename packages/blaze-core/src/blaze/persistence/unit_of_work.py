"""The unit of work: what is to be written, and how to undo in memory what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.persistence.sharing import is_shared

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.persistence.identity_map import IdentityMap

Undo = Callable[[], None]


class UnitOfWork:
    """Registers of new, changed and deleted objects and of changed lists, and the undo log of a transaction.

    The registers are dictionaries by `id`, so they keep order and need no hashing of models. The undo log
    holds one closure for each flushed change, in order; a savepoint remembers its length.
    """

    __slots__ = ("changed", "collections", "deleted", "identity", "mutables", "new", "undo")

    def __init__(self, identity: IdentityMap) -> None:
        self.identity = identity
        self.new: dict[int, Any] = {}
        self.changed: dict[int, Any] = {}
        self.deleted: dict[int, Any] = {}
        self.collections: dict[int, RelatedList[Any]] = {}
        # Objects whose JSON or array values have been read: those may change in place.
        self.mutables: dict[int, Any] = {}
        self.undo: list[Undo] = []

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
            elif not any([is_shared(mapper.columns[index].peek(instance)) for index in mapper.mutable_indexes]):
                refreeze(instance)
                del self.mutables[identity]

    # --- taking back ------------------------------------------------------------------------------

    def forget_pending(self) -> None:
        """Undo everything that was not flushed."""
        for changed_list in self.collections.values():
            if changed_list.saved is not None:
                changed_list.restore(changed_list.saved)
        for instance in self.new.values():
            type(instance).__mapper__.make_new(instance)
        for instance in self.changed.values():
            restore_loaded(instance)
        for instance in self.mutables.values():
            refreeze(instance)
        self.new.clear()
        self.changed.clear()
        self.deleted.clear()
        self.collections.clear()
        self.mutables.clear()

    def undo_to(self, mark: int) -> None:
        """Undo flushed changes in memory, the latest first, down to a length of the log."""
        undo = self.undo
        while len(undo) > mark:
            undo.pop()()

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

    def undo_delete(self, mapper: Mapper, instance: Any, key: Any, context: Any) -> Undo:
        """Return what brings a deleted object back."""

        def undo() -> None:
            mapper.make_clean(instance, context)
            self.identity[mapper.model][key] = instance

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
        clear_slot(mapper, instance, relation.slot)


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
            if loaded not in (None, UNSET) and relation.target.key(loaded) != relation.key_of(instance):
                clear_slot(mapper, instance, relation.slot)
            elif loaded is None and relation.key_of(instance) is not None:
                clear_slot(mapper, instance, relation.slot)
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
