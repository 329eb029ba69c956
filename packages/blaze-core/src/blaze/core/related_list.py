"""The list that a to-many relation shows on an instance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar, Union, overload

from blaze.core.answers import Count, Existence
from blaze.core.detached import COPIED
from blaze.core.specs import UNSET
from blaze.errors import SessionError, ValidationError

if TYPE_CHECKING:
    from blaze.core.relations import Relation
    from blaze.query.query_set import QuerySet
    from blaze.sql.expressions import Expression

M = TypeVar("M")

# What is needed to undo a change: the items, the pending links, and whether they were given, as they were.
Saved = tuple[Optional[list[Any]], dict[int, Any], dict[int, Any], bool, bool]


class RelatedList(Sequence[M], Generic[M]):
    """The objects on the other side of a to-many relation.

    Reading loads it, together with the lists of all objects of the same result; an asynchronous session
    raises `NotLoadedError` instead. Adding and removing need no load. For a one-to-many relation they set the
    child's foreign key; for a many-to-many relation they are pending links until the next flush.

    Where the list was `cleared`, `removed` are those objects of which is known that they were linked.
    """

    __slots__ = (
        "_dropped",
        "_identities",
        "_items",
        "_owner",
        "_relation",
        "added",
        "cleared",
        "given",
        "known",
        "removed",
        "saved",
    )

    def __init__(self, owner: Any, relation: Relation) -> None:
        self._owner = owner
        self._relation = relation
        self._items: Optional[list[Any]] = None
        self._identities: Optional[set[int]] = None
        self._dropped: Optional[set[int]] = None  # items that are out and still stand in `_items`
        self.added: dict[int, Any] = {}
        self.removed: dict[int, Any] = {}
        self.cleared = False
        self.given = False  # as a whole: to a constructor, by an assignment or clear()
        self.saved: Optional[Saved] = None

    @property
    def owner(self) -> Any:
        """The object whose list this is."""
        return self._owner

    @property
    def relation(self) -> Relation:
        """The relation that the list shows."""
        return self._relation

    @property
    def is_loaded(self) -> bool:
        """Whether reading needs no statement."""
        return self._items is not None

    @property
    def is_whole(self) -> bool:
        """Whether the known items are all that there are: loaded from the row, or given as a whole.

        The list of a new object is loaded from the start, but what was merely linked to it says nothing
        about a row that may have its key.
        """
        owner = self._owner
        stored = owner._ctx_ is COPIED or not self._relation.owner.is_new(owner)
        return self._items is not None and (self.given or stored)

    def peek(self) -> Sequence[M]:
        """Return what is known without loading: the loaded items, or the pending additions."""
        if self._dropped:
            self._compact()
        return self._items if self._items is not None else list(self.added.values())

    def pending(self) -> Iterable[Any]:
        """Return the objects that a list brings in: all of a new owner, of another those that were added."""
        return self.peek() if self._relation.owner.is_new(self._owner) else self.added.values()

    def loaded(self, items: list[Any]) -> None:
        """Take the rows of the database, then apply what is still pending."""
        if self.added or self.removed or self.cleared:
            known = {} if self.cleared else {id(item): item for item in items}
            if self._relation.link is not None:
                self.added = {i: item for i, item in self.added.items() if i not in known}
                self.removed = {i: item for i, item in self.removed.items() if i in known}
            known.update(self.added)
            items = [item for identity, item in known.items() if identity not in self.removed]
        self._take(items)

    def _take(self, items: Optional[list[Any]]) -> None:
        """Show these items from now on."""
        self._items = items
        self._identities = self._dropped = None

    def _holds(self, item: Any) -> bool:
        """Whether a loaded list holds the object; one pass builds the set that answers further questions."""
        return id(item) in self._known()

    def _known(self) -> set[int]:
        found = self._identities
        if found is None:
            found = self._identities = {id(member) for member in self._items or ()}
        return found

    def show(self, item: Any) -> None:
        """Show an object that is linked already, where the list is loaded."""
        if self._items is None or self._holds(item):
            return
        self._known().add(id(item))
        if self._dropped and id(item) in self._dropped:
            self._dropped.discard(id(item))  # it stands in its place still
        else:
            self._items.append(item)

    def _drop(self, item: Any) -> None:
        """Stop showing an object. The list itself is tidied up at the next read: many that leave one by one
        cost one pass.
        """
        known = self._known()
        if id(item) in known:
            known.discard(id(item))
            if self._dropped is None:
                self._dropped = set()
            self._dropped.add(id(item))

    def _compact(self) -> None:
        dropped, items = self._dropped, self._items
        if items is not None and dropped:
            self._items = [item for item in items if id(item) not in dropped]
        self._dropped = None

    def _read(self, flush: bool = True) -> list[Any]:
        if self._dropped:
            self._compact()
        if self._items is None:
            owner = self._owner
            context = owner._ctx_
            if context is None or (context is not COPIED and self._relation.owner.is_new(owner)):
                self._take(list(self.added.values()))
            else:
                context.session.load_lazily(owner, self._relation, flush)
                if self._dropped:  # by changes that are pending
                    self._compact()
        assert self._items is not None
        return self._items

    def __iter__(self) -> Iterator[M]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __bool__(self) -> bool:
        return bool(self._read())

    def __contains__(self, item: object) -> bool:
        self._read()
        return self._holds(item)

    @overload
    def __getitem__(self, index: int) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> list[M]: ...
    def __getitem__(self, index: Union[int, slice]) -> Union[M, list[M]]:
        return self._read()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RelatedList):
            return self._read() == other._read()
        if isinstance(other, list):
            return self._read() == other
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    # --- asking without loading -------------------------------------------------------------------

    known: tuple[int, Union[int, bool]]  # a count, or whether there is any, and when that was true

    @property
    def has_pending(self) -> bool:
        """Whether links are pending that the database does not know yet."""
        return bool(self.added or self.removed or self.cleared)

    def answer(self, epoch: int, only_any: bool) -> Optional[Union[int, bool]]:
        """Return what is known of the number of objects at this point of the session, None when nothing."""
        try:
            when, found = self.known
        except AttributeError:
            return None
        if when != epoch:
            return None
        return found > 0 if only_any else None if found.__class__ is bool else found

    def count(self, item: Any = UNSET) -> Count:
        """Return the number of objects; await it in an asynchronous session.

        A list that is not loaded stays so: one statement counts for the lists of all objects of the same
        result. The answers hold until the session writes, commits or rolls back. With an argument, return
        how often the list holds that object.
        """
        if item is not UNSET:
            return Count(item in self)
        return self._ask(False)  # type: ignore[no-any-return]

    def exists(self) -> Existence:
        """Return whether there is any object, as `count` does: asked once for the whole result."""
        return self._ask(True)  # type: ignore[no-any-return]

    def _ask(self, only_any: bool) -> Any:
        context = self._owner._ctx_
        session = None if context is None else context.session
        if session is not None and not session.closed:
            if session.asynchronous or not self.is_loaded:
                return session.ask_list(self, only_any)
            return len(self.peek()) > 0 if only_any else len(self.peek())
        number = len(self._read())
        return Existence(number > 0) if only_any else Count(number)

    def query(self) -> QuerySet[M]:
        """Return a query of the session for the objects of this list; pending links are flushed before.

        In an asynchronous session it is an `AsyncQuerySet`. Raises `SessionError` when the owner belongs to
        no open session, `QueryError` when it has no key yet.
        """
        context = self._owner._ctx_
        if context is None or context.session.closed:
            relation = self._relation
            raise SessionError(
                f"{relation.owner.name}.{relation.name} cannot be queried: its {relation.owner.name} belongs "
                "to no open session; add() it to one"
            )
        return context.session.query_list(self)  # type: ignore[no-any-return]

    def where(self, *conditions: Expression[Optional[bool]]) -> QuerySet[M]:
        """Return a query for those of the objects for which every expression is true."""
        return self.query().where(*conditions)

    def filter(self, /, *conditions: Any, **lookups: Any) -> QuerySet[M]:
        """Return a query for those of the objects that `Q` and `field__lookup=` keywords describe."""
        return self.query().filter(*conditions, **lookups)

    def exclude(self, /, *conditions: Any, **lookups: Any) -> QuerySet[M]:
        """Return a query for the objects without those that these describe."""
        return self.query().exclude(*conditions, **lookups)

    def order_by(self, *keys: Any) -> QuerySet[M]:
        """Return a query for the objects in an order."""
        return self.query().order_by(*keys)

    # --- changing ---------------------------------------------------------------------------------

    def __repr__(self) -> str:
        where = f"{self._relation.owner.name}.{self._relation.name}"
        return f"<{where}: not loaded>" if self._items is None else f"<{where}: {self.peek()!r}>"

    def add(self, *objects: M) -> None:
        """Relate the objects; one that is already there is left alone.

        New objects come into the owner's session at once and stay there when they leave the list. Raises
        `ValidationError` for an object of another model, `SessionError` for one that another session holds.
        """
        relation = self._relation
        session = self._session_for(objects)
        leaving = () if session is None or relation.link is None else session.leaving(self)
        for item in objects:
            inverse = relation.inverse
            if session is not None and item not in session and relation.target.is_new(item):
                session.adopt(item)
            if relation.link is None:
                assert inverse is not None
                self.changing()
                if self._items is None or not self._holds(item) or relation.target.is_new(item):
                    self.added[id(item)] = item
                setattr(item, inverse.name, self._owner)
                continue
            self.changing()
            other = None if inverse is None else inverse.collection(item)
            cleared = self.cleared or (other is not None and other.cleared)  # which deletes all links anyhow
            settled = self._is_linked(item, other) or (not cleared and self._pends(item, other, "removed"))
            if other is not None:
                other.note_added(self._owner)
                context: Any = item._ctx_  # type: ignore[attr-defined]
                if self._owner._ctx_ is None and context is not None:
                    context.session.object_comes(self._owner)
            self.removed.pop(id(item), None)
            if not settled or id(item) in leaving:
                self.added[id(item)] = item
            self.show(item)

    append = add

    def remove(self, *objects: M) -> None:
        """Take the objects out; one that is not there is no error."""
        relation = self._relation
        for item in objects:
            self._require_member(item)
        for item in objects:
            inverse = relation.inverse
            if relation.link is None:
                assert inverse is not None
                if getattr(item, inverse.name) is self._owner:
                    self.changing()
                    setattr(item, inverse.name, None)
                    self.note_removed(item)
                continue
            self.changing()
            other = None if inverse is None else inverse.collection(item)
            settled = self._pends(item, other, "added") or self._is_apart(item, other)
            if other is not None:
                other.note_removed(self._owner)
            self.note_removed(item)
            if not settled and not self.cleared:
                self.removed[id(item)] = item

    def _pends(self, item: Any, other: Optional[RelatedList[Any]], register: str) -> bool:
        """Whether a link is pending, on either side, of which is known that it changes what is stored."""
        if self._items is None and (other is None or other._items is None):
            return False
        return id(item) in getattr(self, register) or (
            other is not None and id(self._owner) in getattr(other, register)
        )

    def _is_linked(self, item: Any, other: Optional[RelatedList[Any]]) -> bool:
        """Whether it is known, from either side, that an object is linked."""
        return (self._items is not None and self._holds(item)) or (
            other is not None and other._items is not None and other._holds(self._owner)
        )

    def _is_apart(self, item: Any, other: Optional[RelatedList[Any]]) -> bool:
        """Whether it is known, from either side, that an object is not linked."""
        if self._items is not None:
            return not self._holds(item)
        return other is not None and other._items is not None and not other._holds(self._owner)

    def clear(self) -> None:
        """Take out every object."""
        relation = self._relation
        if relation.link is None:
            self.remove(*self)
            self.given = True
            return
        self.changing()
        if relation.inverse is not None:
            for other in self._shown_in(relation.inverse):
                item = other._owner
                coming = id(item) in self.added or id(self._owner) in other.added
                if not coming and self._is_linked(item, other):
                    self.removed[id(item)] = item
                other.note_removed(self._owner)
        self.added.clear()
        self.cleared = self.given = True
        self._take([])

    def _shown_in(self, inverse: Relation) -> list[RelatedList[Any]]:
        """Return the lists of the other side that may show the owner."""
        if self._items is not None or self._owner._ctx_ is None or self._owner._ctx_.session.closed:
            return [inverse.collection(item) for item in self.peek()]
        held = self._owner._ctx_.session.all_of(inverse.owner)
        shown = [(item._extra_ or {}).get(inverse.name) for item in held]
        return [other for other in shown if other is not None]

    def set(self, objects: Iterable[M]) -> None:
        """Make the list hold exactly these objects, adding and removing what differs.

        What is pending is not flushed before: that might delete the owner.
        """
        self.require_iterable(objects)
        wanted = list(objects)
        self._session_for(wanted)
        keep = {id(item) for item in wanted}
        self.remove(*[item for item in self._read(flush=False) if id(item) not in keep])
        self.add(*wanted)
        self.given = True

    def require_iterable(self, objects: Any) -> None:
        """Raise `ValidationError` for what cannot be the objects of the list."""
        if not isinstance(objects, Iterable):
            message = f"takes a list of {self._relation.target.name} objects, not {type(objects).__name__}"
            raise ValidationError({self._relation.name: [message]}, model=self._relation.owner.model)

    def _require_member(self, item: Any) -> None:
        target = self._relation.target
        if not isinstance(item, target.model):
            message = f"holds {target.name} objects, not {type(item).__name__}"
            raise ValidationError({self._relation.name: [message]}, model=self._relation.owner.model)

    def _session_for(self, objects: Sequence[Any]) -> Any:
        """Return the owner's open session, None without one; refuse objects that cannot be added."""
        for item in objects:
            self._require_member(item)
        context = self._owner._ctx_
        if context is None or context.session.closed:
            return None
        for item in objects:
            context.session.require_own(item)
        return context.session

    def changing(self) -> None:
        """Remember the state before the first change since the last flush and tell the session."""
        if self.saved is None:
            self.saved = self.state()
        context = self._owner._ctx_
        if context is not None:
            context.session.collection_changed(self)

    def note_added(self, item: Any) -> None:
        """Show an object that the other side of the relation has just linked."""
        self.changing()
        self.removed.pop(id(item), None)
        self.show(item)

    def note_removed(self, item: Any) -> None:
        """Hide an object that the other side of the relation has just unlinked."""
        self.changing()
        self.added.pop(id(item), None)
        if self._items is not None:
            self._drop(item)

    def forget(self, item: Any) -> None:
        """Take out an object that leaves the session before it was saved."""
        self.added.pop(id(item), None)
        self.removed.pop(id(item), None)
        if self._items is not None:
            self._drop(item)

    def state(self) -> Saved:
        """Return a copy of the items and the pending links."""
        if self._dropped:
            self._compact()
        items = None if self._items is None else list(self._items)
        return items, dict(self.added), dict(self.removed), self.cleared, self.given

    def flushed(self, inserted: bool, undo: list[Callable[[], None]]) -> None:
        """Forget what was pending, now that it is in the database, and log what undoes it.

        The list of an owner that was `inserted` goes back to what was pending: the owner is new then.
        """
        saved = self.state() if self.saved is None or inserted else self.saved
        undo.append(partial(self.restore, saved))
        self.added, self.removed, self.cleared, self.saved = {}, {}, False, None

    def take_back(self) -> None:
        """Undo what is pending here, and what the other side shows of it."""
        inverse = self._relation.inverse
        if self._relation.link is not None and inverse is not None:
            for item in self.added.values():
                inverse.forget_member(item, self._owner)
            for item in self.removed.values():
                inverse.note_member(item, self._owner)
        if self.saved is not None:
            self.restore(self.saved)

    def unload(self) -> None:
        """Forget the items, so that the next read loads them, also after a rollback of what is pending."""
        self._take(None)
        if self.saved is not None:
            self.saved = (None, *self.saved[1:])

    def keep(self, items: Iterable[Any]) -> None:
        """Show only these of the items; nothing is pending for those that go."""
        kept = {id(item) for item in items}
        if self._items is not None:
            self._take([item for item in self.peek() if id(item) in kept])
        self.added = {identity: item for identity, item in self.added.items() if identity in kept}

    def pend(self) -> None:
        """Let all links that the list of a new object shows be pending, by whichever side they were made."""
        self.added = {id(item): item for item in self.peek()}

    def portable(self) -> tuple[Any, ...]:
        """Return items and pending links for a copy or a pickle: without the identities of objects."""
        items, added, removed, *flags = self.state()
        return (items, list(added.values()), list(removed.values()), *flags)

    def restore_portable(self, saved: tuple[Any, ...]) -> None:
        """Take the items and the pending links of the list that this is a copy of."""
        items, added, removed, cleared, given = saved
        self.restore((items, {id(o): o for o in added}, {id(o): o for o in removed}, cleared, given))

    def restore(self, saved: Saved) -> None:
        """Go back to a remembered state."""
        items, added, removed, self.cleared, self.given = saved
        self._take(None if items is None else list(items))
        self.added, self.removed = dict(added), dict(removed)
        self.saved = None
