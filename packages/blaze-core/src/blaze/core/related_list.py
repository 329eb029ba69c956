"""The list that a to-many relation shows on an instance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar, Union, overload

from blaze.errors import ValidationError

if TYPE_CHECKING:
    from blaze.core.relations import Relation

M = TypeVar("M")

# What is needed to undo a change: the items and the pending links as they were.
Saved = tuple[Optional[list[Any]], dict[int, Any], dict[int, Any], bool]


class RelatedList(Sequence[M], Generic[M]):
    """The objects on the other side of a to-many relation.

    Reading loads it, together with the lists of all objects of the same result; an asynchronous session
    raises `NotLoadedError` instead. Adding and removing need no load. For a one-to-many relation they set the
    child's foreign key; for a many-to-many relation they are pending links until the next flush.
    """

    __slots__ = ("_identities", "_items", "_owner", "_relation", "added", "cleared", "removed", "saved")

    def __init__(self, owner: Any, relation: Relation) -> None:
        self._owner = owner
        self._relation = relation
        self._items: Optional[list[Any]] = None
        self._identities: Optional[set[int]] = None
        self.added: dict[int, Any] = {}
        self.removed: dict[int, Any] = {}
        self.cleared = False
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

    def peek(self) -> Sequence[M]:
        """Return what is known without loading: the loaded items, or the pending additions."""
        return self._items if self._items is not None else list(self.added.values())

    def loaded(self, items: list[Any]) -> None:
        """Take the rows of the database, then apply what is still pending."""
        if self.added or self.removed or self.cleared:
            known = {} if self.cleared else {id(item): item for item in items}
            known.update(self.added)
            items = [item for identity, item in known.items() if identity not in self.removed]
        self._items = items
        self._identities = None

    def _holds(self, item: Any) -> bool:
        """Whether a loaded list holds the object; one pass builds the set that answers further questions."""
        if self._identities is None:
            self._identities = {id(member) for member in self._items or ()}
        return id(item) in self._identities

    def show(self, item: Any) -> None:
        """Show an object that is linked already, where the list is loaded."""
        if self._items is not None and not self._holds(item):
            self._items.append(item)
            assert self._identities is not None
            self._identities.add(id(item))

    def _read(self) -> list[Any]:
        if self._items is None:
            owner = self._owner
            context = owner._ctx_
            if context is None or self._relation.owner.is_new(owner):
                self._items = list(self.added.values())
                self._identities = None
            else:
                context.session.load_lazily(owner, self._relation)
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

    def __repr__(self) -> str:
        where = f"{self._relation.owner.name}.{self._relation.name}"
        return f"<{where}: not loaded>" if self._items is None else f"<{where}: {self._items!r}>"

    def add(self, *objects: M) -> None:
        """Relate the objects; one that is already there is left alone.

        Raises `ValidationError` for an object of another model.
        """
        relation = self._relation
        for item in objects:
            self._require_member(item)
        for item in objects:
            inverse = relation.inverse
            if relation.link is None:
                assert inverse is not None
                self.changing()
                if self._items is None or not self._holds(item) or relation.target.is_new(item):
                    self.added[id(item)] = item
                setattr(item, inverse.name, self._owner)
                continue
            self.changing()
            if inverse is not None:
                inverse.collection(item).note_added(self._owner)
            self.removed.pop(id(item), None)
            if self._items is None or not self._holds(item):
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
            if inverse is not None:
                inverse.collection(item).note_removed(self._owner)
            self.note_removed(item)
            self.removed[id(item)] = item

    def clear(self) -> None:
        """Take out every object."""
        relation = self._relation
        if relation.link is None:
            self.remove(*self)
            return
        self.changing()
        if relation.inverse is not None:
            for other in self._shown_in(relation.inverse):
                other.note_removed(self._owner)
        self.added.clear()
        self.removed.clear()
        self.cleared = True
        self._items = []
        self._identities = None

    def _shown_in(self, inverse: Relation) -> list[RelatedList[Any]]:
        """Return the lists of the other side that may show the owner."""
        if self._items is not None or self._owner._ctx_ is None or self._owner._ctx_.session.closed:
            return [inverse.collection(item) for item in self.peek()]
        found = []
        for item in list(self._owner._ctx_.session.identity[inverse.owner.model].values()):
            other = (item._extra_ or {}).get(inverse.name)
            if other is not None:
                found.append(other)
        return found

    def set(self, objects: Iterable[M]) -> None:
        """Make the list hold exactly these objects, adding and removing what differs."""
        if not isinstance(objects, Iterable):
            message = f"takes a list of {self._relation.target.name} objects, not {type(objects).__name__}"
            raise ValidationError({self._relation.name: [message]}, model=self._relation.owner.model)
        wanted = list(objects)
        keep = {id(item) for item in wanted}
        self.remove(*[item for item in self if id(item) not in keep])
        self.add(*wanted)

    def _require_member(self, item: Any) -> None:
        target = self._relation.target
        if not isinstance(item, target.model):
            message = f"holds {target.name} objects, not {type(item).__name__}"
            raise ValidationError({self._relation.name: [message]}, model=self._relation.owner.model)

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
            self._items = [member for member in self._items if member is not item]
            self._identities = None

    def state(self) -> Saved:
        """Return a copy of the items and the pending links."""
        items = None if self._items is None else list(self._items)
        return items, dict(self.added), dict(self.removed), self.cleared

    def flushed(self, inserted: bool) -> Saved:
        """Forget what was pending, now that it is in the database; return what undoes it.

        The list of an owner that was `inserted` goes back to what was pending: the owner is new then.
        """
        saved = self.state() if self.saved is None or inserted else self.saved
        self.added, self.removed, self.cleared, self.saved = {}, {}, False, None
        return saved

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
        """Forget the items, so that the next read loads them."""
        self._items = None
        self._identities = None

    def keep(self, items: Iterable[Any]) -> None:
        """Show only these of the items; nothing is pending for those that go."""
        kept = {id(item) for item in items}
        if self._items is not None:
            self._items = [item for item in self._items if id(item) in kept]
            self._identities = None
        self.added = {identity: item for identity, item in self.added.items() if identity in kept}

    def restore(self, saved: Saved) -> None:
        """Go back to a remembered state."""
        items, added, removed, cleared = saved
        self._items = None if items is None else list(items)
        self._identities = None
        self.added, self.removed, self.cleared = dict(added), dict(removed), cleared
        self.saved = None
