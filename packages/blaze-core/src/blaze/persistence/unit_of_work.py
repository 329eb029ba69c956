"""The unit of work: what is to be written, and how to undo in memory what was."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from marshal import dumps
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.context import LoadContext
from blaze.core.detached import ROLLED_BACK
from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.persistence.detached import RolledBack
from blaze.persistence.sharing import is_shared
from blaze.persistence.stored import text_before

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.identity_map import IdentityMap

Undo = Callable[[], None]


class Absence:
    """An expunged object while changes are taken back: the object that stands for its row instead (None
    without any), and the key of the row (None once its insert is taken back).
    """

    __slots__ = ("key", "mapper", "stand_in")

    def __init__(self, mapper: Mapper, key: Any, stand_in: Any) -> None:
        self.mapper = mapper
        self.key = key
        self.stand_in = stand_in


class UnitOfWork:
    """Registers of new, changed and deleted objects and of changed lists, and the undo log of a transaction.

    The registers are dictionaries by `id`, so they keep order and need no hashing of models. The undo log
    holds one closure for each flushed change, in order; a savepoint remembers its length.

    The log names objects, and means their rows: expunging one is an entry, too. Going back past that, what
    was done to the object is undone on the one that stands for its row now (`now`).
    """

    __slots__ = (
        "absent",
        "changed",
        "collections",
        "comers",
        "deleted",
        "dropped",
        "expired",
        "forgotten",
        "identity",
        "moved",
        "mutables",
        "new",
        "prints",
        "renewed",
        "singles",
        "sweeps",
        "undo",
    )

    def __init__(self, identity: IdentityMap) -> None:
        self.identity = identity
        self.new: dict[int, Any] = {}
        self.changed: dict[int, Any] = {}
        self.deleted: dict[int, Any] = {}
        self.collections: dict[int, RelatedList[Any]] = {}
        # New objects that nobody has added, but that were given objects of the session.
        self.comers: dict[int, Any] = {}
        # New objects that were deleted before they were saved: what refers to them does not bring them back.
        self.dropped: dict[int, Any] = {}
        # Objects whose JSON or array values have been read: those may change in place.
        self.mutables: dict[int, Any] = {}
        self.prints: dict[int, bytes] = {}  # their fingerprints, of those that were found unchanged
        self.sweeps = 0
        # What the reverse sides of one-to-one relations showed before the first change since the last flush.
        self.singles: dict[tuple[int, str], tuple[Any, Relation, Any]] = {}
        self.undo: list[Undo] = []
        # While changes are taken back: objects that are new again, and relations that point elsewhere again.
        self.renewed: list[Any] = []
        self.moved: list[tuple[Any, Relation]] = []
        # Expunged objects by `id`, as far as the log has been gone back; what raw writes made doubtful.
        self.absent: dict[int, Absence] = {}
        self.forgotten: dict[tuple[Any, Any], Any] = {}
        # Objects that a rollback has emptied, by model and key; whatever the session does next fills them.
        self.expired: dict[tuple[Any, Any], Any] = {}

    @property
    def pending(self) -> bool:
        """Whether a flush may have something to do."""
        return bool(
            self.new or self.changed or self.deleted or self.collections or self.mutables or self.comers
        )

    @property
    def needs_flush(self) -> bool:
        """Whether a flush has something to do, once `sweep` has looked at the mutable values."""
        return bool(self.new or self.changed or self.deleted or self.collections)

    def sweep(self, codecs: Any) -> None:
        """Find values that changed in place; stop watching those that nobody else can reach.

        An object whose values and texts are what they were when they were compared last is not compared
        again; who else holds them is asked so rarely that it costs no more than the rest.
        """
        self.sweeps += 1
        asking = self.sweeps % (len(self.mutables) // 8 + 1) == 0
        before, prints = self.prints, {}
        for identity, instance in list(self.mutables.items()):
            if identity in self.new or identity in self.changed or identity in self.deleted:
                continue
            print_ = fingerprint(type(instance).__mapper__, instance)
            known = print_ is not None and before.get(identity) == print_
            if not known and self._note_change(instance, codecs):
                continue
            watched = (known and not asking) or not self._stop_watching(instance)
            if watched and print_ is not None:
                prints[identity] = print_
        self.prints = prints

    def sweep_among(self, instances: Iterable[Any], codecs: Any) -> None:
        """Do what `sweep` does for a few objects, which are not kept."""
        for instance in instances:
            identity = id(instance)
            watched = identity in self.mutables and identity not in self.changed
            if watched and identity not in self.deleted and not self._note_change(instance, codecs):
                self._stop_watching(instance)

    def _note_change(self, instance: Any, codecs: Any) -> bool:
        """Whether a value of an unchanged object has changed in place; from now on the object is a changed
        one.
        """
        mapper = type(instance).__mapper__
        codec = codecs[mapper]
        if not any(codec.mutable_changed(instance, index) for index in mapper.mutable_indexes):
            return False
        mapper.make_changed(instance)
        self.changed[id(instance)] = instance
        return True

    def _stop_watching(self, instance: Any) -> bool:
        """Stop watching the values of an object, unless somebody else holds one."""
        mapper = type(instance).__mapper__
        if any([is_shared(mapper.columns[index].peek(instance)) for index in mapper.mutable_indexes]):  # noqa: C419
            return False
        refreeze(instance)
        del self.mutables[id(instance)]
        return True

    def is_unchanged(self, instance: Any) -> bool:
        """Whether an object's mutable values are certainly what they were when they were compared last."""
        known = self.prints.get(id(instance))
        return known is not None and known == fingerprint(type(instance).__mapper__, instance)

    # --- taking back ------------------------------------------------------------------------------

    def forget_pending(self) -> None:
        """Undo everything that was not flushed."""
        for changed_list in self.collections.values():
            if changed_list.saved is not None and not changed_list.relation.owner.is_new(changed_list.owner):
                changed_list.restore(changed_list.saved)
        put_back_singles([s for s in self.singles.values() if not s[1].owner.is_new(s[0])])
        self.renewed += (*self.new.values(), *self.comers.values())
        for instance in self.changed.values():
            restore_loaded(instance)
        for instance in self.mutables.values():
            if not type(instance).__mapper__.is_new(instance):
                refreeze(instance)
        self.new.clear()
        self.comers.clear()
        self.dropped.clear()
        self.changed.clear()
        self.deleted.clear()
        self.collections.clear()
        self.mutables.clear()
        self.singles.clear()

    def take_back(self, mark: int, closing: bool = False) -> None:
        """Undo what was not flushed, then what was, down to a length of the log; expire what is doubtful,
        unless nobody can load it again.

        It comes to its end even when an interrupt is raised in it: every step can be taken twice.
        """
        try:
            self._take_back(mark, closing)
        except BaseException:
            self._take_back(mark, closing)
            raise

    def _take_back(self, mark: int, closing: bool) -> None:
        self.forget_pending()
        self.undo_to(mark)
        if not closing:
            self.expire()

    def undo_to(self, mark: int) -> None:
        """Undo flushed changes in memory, the latest first, down to a length of the log."""
        undo = self.undo
        while len(undo) > mark:
            undo[-1]()
            del undo[-1:]
        if self.absent:  # they stay out: what is older than the mark may be undone later
            undo[mark:] = [
                partial(self.undo_expunge, identity, absence.mapper, absence.key)
                for identity, absence in self.absent.items()
                if mark and absence.key is not None
            ]
            self.absent.clear()
        self._reconnect()

    def expire(self) -> None:
        """Empty the objects that may show what raw writes did: they keep their keys and their place."""
        for (model, _), instance in self.forgotten.items():
            mapper = type(instance).__mapper__
            if not mapper.is_clean(instance):  # its row was inserted in what is taken back
                continue
            key = mapper.key(instance)
            self.mutables.pop(id(instance), None)
            empty(mapper, instance)
            if (
                self.identity[model].get(key, instance) is not instance
            ):  # a deleted one is back: this had its key
                mapper.set_context(instance, LoadContext(RolledBack()))
                continue
            leave(self.identity[model], key, instance)
            self.expired[model, key] = instance
        self.forgotten.clear()

    def is_expired(self, instance: Any) -> bool:
        """Whether a rollback has emptied the object."""
        mapper = type(instance).__mapper__
        return bool(self.expired) and self.expired.get((mapper.base.model, mapper.key(instance))) is instance

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
                if relation.owns_key and relation.inverse is not None:
                    self._hide(relation, relation.inverse, instance)
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
                elif relation.many and relation.link is not None:
                    related.pend()
        self.renewed.clear()

    def _hide(self, relation: Relation, inverse: Relation, instance: Any) -> None:
        """Take an object that is new again out of what was loaded of its owner while it was pending."""
        owner = relation.peek(instance)
        if owner is UNSET:
            owner = self.identity[relation.target.model].get(relation.key_of(instance))
        shown = owner._extra_.get(inverse.name) if owner is not None and owner._extra_ else None
        if shown is None or relation.target.is_new(owner):
            return
        if inverse.many:
            shown.forget(instance)
        elif owner is not None and shown is instance:
            del owner._extra_[inverse.name]

    # --- entries of the undo log ------------------------------------------------------------------

    def note_expunge(self, mapper: Mapper, instance: Any, key: Any) -> None:
        """Log that an object leaves the session; another one may be loaded for its row."""
        if self.undo:
            self.undo.append(partial(self.undo_expunge, id(instance), mapper, key))

    def undo_expunge(self, identity: int, mapper: Mapper, key: Any) -> None:
        """Go back to where an object was expunged: from here on another one stands for its row.

        An `id` is enough: objects that older entries name are alive, so that no other can have it.
        """
        objects = self.identity[mapper.model]
        found = objects.get(key)
        if found is None:
            place = mapper.base.model, key
            found = self.forgotten[place] if place in self.forgotten else self.expired.pop(place, None)
            if found is not None:
                objects[key] = self.forgotten[place] = found
        if found is not None and id(found) == identity:  # it was added again
            self.absent.pop(identity, None)
            return
        self.absent[identity] = Absence(mapper, key, found)
        if found is not None and found._extra_:
            for relation in mapper.relations.values():  # older entries restore those of the other object
                if not relation.owns_key:
                    relation.unload(found)

    def now(self, instance: Any) -> Any:
        """Return the object that stands for the row of another one: itself unless that was expunged."""
        absence = self.absent.get(id(instance)) if self.absent else None
        return instance if absence is None else absence.stand_in

    def without_rows(self, instances: list[Any]) -> list[Any]:
        """Return inserted objects whose rows go, with those that stand for expunged ones among them."""
        found = []
        for instance in instances:
            absence = self.absent.get(id(instance))
            if absence is not None:
                absence.key = None
                if absence.stand_in is not None:
                    found.append(absence.stand_in)
                if instance._ctx_ is not None and not instance._ctx_.session.closed:
                    continue  # another session has it
            found.append(instance)
        return found

    def undo_update(self, mapper: Mapper, instance: Any) -> Undo:
        """Return what gives an object that is about to follow its row the values that the row has now."""
        changed = None if mapper.is_clean(instance) else mapper.get_old(instance)
        old: tuple[Any, ...] = mapper.snapshot(instance) if changed is None else changed

        def undo() -> None:
            target = self.now(instance)
            if target is None:
                return
            new_key = mapper.key(target)
            write_values(mapper, target, old, {})
            old_key = mapper.key(target)
            if old_key != new_key:
                objects = self.identity[mapper.model]
                leave(objects, new_key, target)
                objects[old_key] = target

        return undo

    def undo_bypass(self) -> Undo:
        """Return what takes out unchanged objects that were loaded after now, and knows the others again."""
        before = {model: dict(objects) for model, objects in self.identity.items()}

        def undo() -> None:
            for model, objects in self.identity.items():
                known = before.get(model, {})
                is_clean = model.__mapper__.is_clean
                for key, instance in list(objects.items()):
                    if self.now(known.get(key)) is not instance and is_clean(instance):
                        self.forgotten[model, key] = instance
                        del objects[key]
                for key, instance in known.items():
                    target = self.now(instance)
                    if target is not None:
                        objects.setdefault(key, target)

        return undo


def leave(objects: dict[Any, Any], key: Any, instance: Any) -> None:
    """Take an object out of its place in the identity map, unless another object has that by now."""
    if objects.get(key) is instance:
        del objects[key]


def write_values(mapper: Mapper, instance: Any, values: tuple[Any, ...], raws: dict[Any, Any]) -> None:
    """Put a snapshot back: columns, undecoded values (`UNSET` for what was not loaded), and the loaded
    objects of relations that moved.
    """
    moved: set[Relation] = set()
    for attribute, value in zip(mapper.columns, values):
        if attribute.mutable:
            continue
        if attribute.key_of is not None:
            now = attribute.peek(instance)  # an expression, maybe, with which nothing can be compared
            if now.__class__ is not value.__class__ or now != value:
                moved.update(attribute.keys_of)
        if value is UNSET:
            clear_slot(mapper, instance, attribute.slot)
        else:
            attribute.set(instance, value)
    for attribute, raw in raws.items():
        clear_slot(mapper, instance, attribute.slot)
        clear_slot(mapper, instance, attribute.raw_slot)
        if raw is None:
            attribute.set(instance, None)
        elif raw is not UNSET:
            attribute.raw_set(instance, raw)
    for relation in moved:
        forget_related(mapper, instance, relation)


def empty(mapper: Mapper, instance: Any) -> None:
    """Take all values but the key off an unchanged object, as if nothing else had been selected."""
    for attribute in mapper.columns:
        if attribute not in mapper.pk:
            clear_slot(mapper, instance, attribute.slot)
            if attribute.raw_slot is not None:
                clear_slot(mapper, instance, attribute.raw_slot)
    for relation in mapper.relations.values():
        if relation.owns_key:
            clear_slot(mapper, instance, relation.slot)
        else:
            relation.unload(instance)
    mapper.set_class(instance, mapper.partial)


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


def put_back_related(work: UnitOfWork, former: list[tuple[Any, Relation, Any]]) -> None:
    """Point to-one relations at the objects that they showed before others took over their keys."""
    for instance, relation, previous in former:
        target, related = work.now(instance), work.now(previous)
        if target is not None and related is not None:
            relation.set(target, related)
        elif target is not None:
            forget_related(type(target).__mapper__, target, relation)


def restore_loaded(instance: Any) -> None:
    """Give a changed, unflushed object the values that it was loaded with, and make it clean."""
    mapper = type(instance).__mapper__
    old = mapper.get_old(instance)
    if old is None:
        return
    mutable = [mapper.columns[index] for index in mapper.mutable_indexes]
    write_values(mapper, instance, old, {a: text_before(mapper, instance, a) for a in mutable})
    for relation in mapper.relations.values():
        if relation.owns_key:
            loaded = relation.peek(instance)
            if loaded is UNSET:
                continue
            key = None if loaded is None else relation.target.key(loaded)
            if key != relation.key_of(instance) or (
                loaded is not None and not is_meant(relation, instance, key, loaded)
            ):
                forget_related(mapper, instance, relation)
    mapper.make_clean(instance, instance._ctx_)


def is_meant(relation: Relation, instance: Any, key: Any, loaded: Any) -> bool:
    """Whether a loaded object is the one whose row has a key: another one may have got the same key since."""
    work = getattr(instance._ctx_.session, "work", None)
    known = None if work is None else work.identity[relation.target.model].get(key)
    if known is None:
        return key is not None and not relation.target.is_new(loaded)
    return known is loaded


def fingerprint(mapper: Mapper, instance: Any) -> Optional[bytes]:
    """Return what changes with a mutable value, or with the text it was read from; None if nothing does."""
    columns = mapper.columns
    parts: list[Any] = []
    for index in mapper.mutable_indexes:
        attribute = columns[index]
        try:
            parts.append(attribute.get(instance))
        except (AttributeError, TypeError):  # an empty slot, as UNSET, which cannot be written
            parts.append(...)
        try:
            parts.append(attribute.raw_get(instance))
        except (AttributeError, TypeError):
            parts.append(...)
    try:
        return dumps(parts, 2)
    except ValueError:  # there are values of other types than those of documents
        return None


def refreeze(instance: Any) -> None:
    """Drop decoded JSON and array values; the next read decodes what the database holds."""
    mapper = type(instance).__mapper__
    for index in mapper.mutable_indexes:
        attribute = mapper.columns[index]
        if attribute.peek_raw(instance) is not UNSET:
            clear_slot(mapper, instance, attribute.slot)
        elif attribute.peek(instance) is not UNSET:
            attribute.set(instance, None)
