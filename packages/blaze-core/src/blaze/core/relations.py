"""Relations between models, resolved: which attributes join which, and where instances keep the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.detached import COPIED
from blaze.core.related_list import RelatedList
from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET, RelationSpec
from blaze.errors import NotLoadedError, ValidationError
from blaze.sql.source import Source

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.sql.table import Table, TableColumn

FOREIGN_KEY = "foreign_key"
ONE_TO_ONE = "one_to_one"
REVERSE_ONE_TO_ONE = "reverse_one_to_one"
ONE_TO_MANY = "one_to_many"
MANY_TO_MANY = "many_to_many"

# The kinds that are made after those that own a key, and what the reverse ones are the other side of.
DECLARED_LATE = (ONE_TO_MANY, MANY_TO_MANY, REVERSE_ONE_TO_ONE)
KEY_OF = {ONE_TO_MANY: "foreign key", REVERSE_ONE_TO_ONE: "one-to-one relation"}


class Link:
    """The join table of a many-to-many relation, seen from one side."""

    __slots__ = ("model", "own", "table", "target")

    def __init__(
        self,
        table: Table,
        own: tuple[TableColumn, ...],
        target: tuple[TableColumn, ...],
        model: Optional[type],
    ) -> None:
        self.table = table
        self.own = own
        self.target = target
        self.model = model


class Relation:
    """One relation of one model.

    `local` and `remote` are the attributes that join owner and target, pair by pair; for a many-to-many
    relation they are the two primary keys and `link` is the table between them.
    """

    __slots__ = (
        "get",
        "inverse",
        "kind",
        "link",
        "local",
        "many",
        "name",
        "nullable",
        "on_delete",
        "own",
        "owner",
        "owns_key",
        "remote",
        "set",
        "sharing",
        "slot",
        "spec",
        "target",
    )

    def __init__(self, name: str, kind: str, owner: Mapper, target: Mapper, spec: RelationSpec) -> None:
        self.name = name
        self.kind = kind
        self.owner = owner
        self.target = target
        self.spec = spec
        self.many = kind in (ONE_TO_MANY, MANY_TO_MANY)
        self.owns_key = kind in (FOREIGN_KEY, ONE_TO_ONE)
        self.slot = f"_r_{name}"
        self.nullable = True
        self.on_delete = spec.on_delete
        self.local: tuple[Attribute, ...] = ()
        self.remote: tuple[Attribute, ...] = ()
        self.own: tuple[Attribute, ...] = ()  # the local ones that say that there is no related object
        self.sharing: tuple[Relation, ...] = ()  # others that have a local one of these, too
        self.link: Optional[Link] = None
        self.inverse: Optional[Relation] = None
        # Accessors of the hidden slot, for relations that own their key.
        self.get: Callable[..., Any]
        self.set: Callable[[Any, Any], None]

    unset = UNSET

    @property
    def unique(self) -> bool:
        """Whether at most one object has the same key."""
        return self.kind == ONE_TO_ONE or self.spec.unique

    @property
    def telling(self) -> Attribute:
        """The attribute of the target whose local counterpart is NULL where there is no related object."""
        return self.remote[self.local.index(self.own[0])]

    def __repr__(self) -> str:
        return f"<relation {self.owner.name}.{self.name} -> {self.target.name}>"

    def peek(self, instance: Any) -> Any:
        """Return what is loaded, `UNSET` when nothing is: an object or None, or a `RelatedList`."""
        if self.owns_key:
            try:
                return self.get(instance)
            except (AttributeError, TypeError):  # TypeError: an object of another class of the hierarchy
                return UNSET
        return (instance._extra_ or {}).get(self.name, UNSET)

    def put(self, instance: Any, value: Any) -> None:
        """Store a loaded value: an object or None for to-one relations, a list for to-many ones."""
        if self.owns_key:
            self.set(instance, value)
        elif self.many:
            self.collection(instance).loaded(value)
        else:
            self.owner.extra(instance)[self.name] = value

    def fill(self, instance: Any, value: Any) -> None:
        """Store a loaded to-one value unless the instance already knows one or points elsewhere; it may have
        been loaded without its key.
        """
        if self.peek(instance) is not UNSET:
            return
        if self.owns_key and self.key_of(instance) != (None if value is None else self.target.key(value)):
            unread = any(attribute.peek(instance) is UNSET for attribute in self.local)
            if not unread or value is None or not self.target.is_clean(value):
                return
            key = tuple(attribute.peek(value) for attribute in self.remote)
            instance._ctx_.session.key_read(self, instance, key)
        self.put(instance, value)

    def collection(self, instance: Any) -> RelatedList[Any]:
        """Return the instance's list for this to-many relation; it may not be loaded yet."""
        extra = self.owner.extra(instance)
        found = extra.get(self.name)
        if found is None:
            found = extra[self.name] = RelatedList(instance, self)
            if self.owner.is_new(instance) and instance._ctx_ is not COPIED:
                found.loaded([])  # nothing can be in the database yet
        return found

    def key_of(self, instance: Any) -> Any:
        """Return the local key: one value, or a tuple for a composite key; None when a part is missing."""
        local = self.local
        if len(local) == 1:
            value = local[0].peek(instance)
            return None if value is UNSET else value
        values = tuple(attribute.peek(instance) for attribute in local)
        return None if any(value is None or value is UNSET for value in values) else values

    def is_given(self, instance: Any) -> bool:
        """Whether an object was loaded with a key of this foreign key, or was given one, which may be None.

        The slot of a new object holds None where it was given nothing.
        """
        return self.peek(instance) is not None or instance._ctx_ is COPIED or not self.owner.is_new(instance)

    def take_key(self, instance: Any, related: Any) -> None:
        """Copy the related object's key into the local key attributes; without an object, those that other
        relations share stay.
        """
        if related is None:
            for local in self.own:
                local.set(instance, None)
            return
        for local, remote in zip(self.local, self.remote):
            value = remote.peek(related)
            local.set(instance, None if value is UNSET else value)

    def assign(self, instance: Any, value: Any) -> None:
        """Point a to-one relation at another object and keep the loaded reverse side in step."""
        if value is not None and not isinstance(value, self.target.model):
            raise ValidationError(
                {self.name: [f"must be a {self.target.name} or None, not {type(value).__name__}"]},
                model=self.owner.model,
            )
        context = instance._ctx_
        if context is not None and value is not None and not context.session.closed:
            context.session.require_own(value)
        if not self.owns_key:
            self._assign_reverse(instance, value)
            return
        previous = self.known(instance)
        sharing = [(r, r.peek(instance)) for r in self.sharing]
        following = [(r, found, r.known(instance)) for r, found in sharing if found is UNSET or found is None]
        if value is None and self.owner.is_new(instance):
            clear_slot(self.owner, instance, self.slot)  # see `is_given`
        else:
            self.set(instance, value)
        self.take_key(instance, value)
        for relation, found, former in following:
            if found is UNSET or relation.key_of(instance) is not None:
                relation.follow_key(instance, former)
        if self.inverse is None:
            return
        if previous is not value:
            self.inverse.forget_member(previous, instance)
            self.inverse.note_member(value, instance)
        elif value is not None:
            self.inverse.keep_member(value, instance)

    def follow_key(self, instance: Any, previous: Any) -> None:
        """After a write to a key column: forget an object that the key no longer means."""
        if (
            previous is not None
            and previous is not UNSET
            and self.target.key(previous) is not None
            and self.target.key(previous) == self.key_of(instance)
        ):
            if self.inverse is not None:
                self.inverse.keep_member(previous, instance)
            return
        clear_slot(self.owner, instance, self.slot)
        if self.inverse is not None:
            self.inverse.forget_member(previous, instance)
            self.inverse.note_member(self.known(instance), instance)

    def read_reverse(self, instance: Any, flush: bool = True) -> Any:
        """Return what the reverse side of a one-to-one relation shows, loading it where that is not known."""
        found = self.peek(instance)
        if found is not UNSET:
            return found
        context = instance._ctx_
        if context is None or (context is not COPIED and self.owner.is_new(instance)):
            return None
        return context.session.load_lazily(instance, self, flush)

    def _assign_reverse(self, instance: Any, value: Any) -> None:
        inverse = self.inverse
        assert inverse is not None
        session = None if instance._ctx_ is None else instance._ctx_.session
        late = value is not None and inverse.nullable and session is not None and not session.closed
        late = late and not self.owner.is_new(instance)  # the flush reads who is there
        previous = self.peek(instance) if late else self.read_reverse(instance, flush=False)
        if previous is not None and previous is not UNSET and previous is not value:
            setattr(previous, inverse.name, None)
            if (
                not late and self.peek(instance) is UNSET
            ):  # it had been assigned only: the rows tell who is there
                try:
                    stored = self.read_reverse(instance, flush=False)
                except NotLoadedError:
                    setattr(previous, inverse.name, instance)
                    raise
                if stored is not None and stored is not value:
                    setattr(stored, inverse.name, None)
        if value is not None:
            setattr(value, inverse.name, instance)
        self.show(instance, value)
        if value is None or session is None or session.closed:
            return
        if value not in session and self.target.is_new(value):
            session.adopt(value)  # as lists do

    def known(self, instance: Any) -> Any:
        """Return the object that a to-one relation means if it is in memory, else `UNSET`."""
        found = self.peek(instance)
        context = instance._ctx_
        if found is UNSET and context is not None:
            return context.session.resolve_known(instance, self)
        return found

    def show(self, owner: Any, member: Any) -> None:
        """Show a member on the reverse side of a one-to-one relation; the session notes what was there."""
        extra = self.owner.extra(owner)
        context = owner._ctx_
        if context is not None:
            context.session.single_changed(owner, self, extra.get(self.name, UNSET))
        extra[self.name] = member

    def note_member(self, owner: Any, member: Any) -> None:
        """Show `member` in the reverse side of `owner` where that side is loaded.

        A new object that nobody has added comes into the owner's session with the next flush.
        """
        if owner is None or owner is UNSET:
            return
        context = owner._ctx_
        if context is not None and member._ctx_ is None and self.link is None:
            context.session.object_comes(member)
        if self.many:
            found = (owner._extra_ or {}).get(self.name)
            if found is None and self.owner.is_new(owner):
                found = self.collection(owner)
            if found is not None:
                found.note_added(member)
        else:
            previous = (owner._extra_ or {}).get(self.name)
            self.show(owner, member)
            assert self.inverse is not None
            if previous is not None and previous is not member and self.inverse.known(previous) is owner:
                setattr(previous, self.inverse.name, None)

    def keep_member(self, owner: Any, member: Any) -> None:
        """After a member was given its owner again: another one that a one-to-one side shows gives way."""
        if not self.many and self.peek(owner) not in (UNSET, None, member):
            self.note_member(owner, member)

    def forget_member(self, owner: Any, member: Any) -> None:
        """Drop `member` from the loaded reverse side of `owner`."""
        if owner is None or owner is UNSET:
            return
        extra = owner._extra_ or {}
        if self.many:
            found = extra.get(self.name)
            if found is not None:
                found.note_removed(member)
        elif extra.get(self.name) is member:
            if owner._ctx_ is not None and owner._ctx_.session.was_unread(owner, self):
                del extra[self.name]  # the rows tell who is there
            else:
                self.show(owner, None)

    def unload(self, owner: Any) -> None:
        """Forget what the reverse side of `owner` shows, so that the next read loads it."""
        found = (owner._extra_ or {}).get(self.name)
        if self.many and found is not None:
            found.unload()
        elif owner._extra_:
            owner._extra_.pop(self.name, None)

    def extend(self, source: Source) -> Source:
        """Return the source reached from `source` (a place of the owner's table) by this relation."""
        if self.link is None:
            near, far = self.local[0].column.table, self.remote[0].column.table
            if near is not source.table:
                source = self.owner.part(source, near)
            if far is not self.target.table:
                return self._extend_by_part(source, far)
            pairs = tuple((a.column, b.column) for a, b in zip(self.local, self.remote))
            return Source(
                self.target.table,
                parent=source,
                on=pairs,
                outer=not self.owns_key or any(a.column.nullable for a in self.local),
                many=self.many,
                name=self.name,
                only=self.target.source.only,
            )
        link = self.link
        middle = Source(
            link.table,
            parent=source,
            on=tuple((a.column, column) for a, column in zip(self.local, link.own)),
            outer=True,
            many=True,
            name=f"{self.name}*",
        )
        return Source(
            self.target.table,
            parent=middle,
            on=tuple((column, b.column) for column, b in zip(link.target, self.remote)),
            outer=True,
            many=False,
            name=self.name,
            only=self.target.source.only,
        )

    def _extend_by_part(self, source: Source, table: Table) -> Source:
        """Return the target's source where the key stands in a joined table of the target."""
        middle = Source(
            table,
            parent=source,
            on=tuple((a.column, b.column) for a, b in zip(self.local, self.remote)),
            outer=True,
            many=self.many,
            name=f"{self.name}*",
        )
        return Source(
            self.target.table,
            parent=middle,
            on=tuple(zip(table.primary_key, self.target.table.primary_key)),
            outer=True,
            name=self.name,
            only=self.target.source.only,
        )
