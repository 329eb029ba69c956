"""Descriptors: what the class answers, and the properties of relations and their keys on instances."""

from __future__ import annotations

import contextlib
from operator import attrgetter
from typing import Any, Optional

from blaze.core.specs import UNSET


class ClassAttribute:
    """A data descriptor on a model's own metaclass: `Book.title`, `Book.author`.

    The value (a column expression or a relation path) is made at the first access, when the registry can
    resolve it, and kept.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Optional[Any] = None

    def __get__(self, cls: Any, meta: type) -> Any:
        value = self.value
        if value is None:
            value = self.value = cls.__mapper__.registry.class_value(cls.__mapper__, self.name)
        return value

    def __set__(self, cls: Any, value: Any) -> None:
        raise AttributeError(f"{cls.__name__}.{self.name} is mapped and cannot be replaced")


def _relation(instance: Any, name: str) -> Any:
    mapper = type(instance).__mapper__
    if not mapper.configured or name not in mapper.relations:
        mapper.registry.configure(mapper)
    return mapper.relations[name]


def key_property(slot: str, relation_slot: str, name: str) -> property:
    """Return the property of a key column: a plain read; a write forgets the related object.

    Loaded lists of the former and the new related object are kept in step.
    """

    def write(instance: Any, value: Any) -> None:
        relation = _relation(instance, name)
        inverse = relation.inverse
        previous = relation.known(instance)
        setattr(instance, slot, value)
        if (
            value is not None
            and previous is not None
            and previous is not UNSET
            and relation.target.key(previous) == relation.key_of(instance)
        ):
            return
        with contextlib.suppress(AttributeError):
            delattr(instance, relation_slot)
        if inverse is not None:
            inverse.forget_member(previous, instance)
            inverse.note_member(relation.known(instance), instance)

    return property(attrgetter(slot), write)


def stored_property(slot: str) -> property:
    """Return the property of a value that may first have to be decoded or loaded from the database."""
    get = attrgetter(slot)

    def read(instance: Any) -> Any:
        try:
            found = get(instance)
        except AttributeError:
            found = UNSET
        return found if found is not UNSET else answer_for(instance, slot)

    def write(instance: Any, value: Any) -> None:
        setattr(instance, slot, value)

    return property(read, write)


def to_one_property(name: str, slot: str) -> property:
    """Return the property of a to-one relation that owns its key; reading an unset slot loads."""
    get = attrgetter(slot)

    def read(instance: Any) -> Any:
        try:
            found = get(instance)
        except AttributeError:
            found = UNSET
        return found if found is not UNSET else answer_for(instance, slot)

    def write(instance: Any, value: Any) -> None:
        _relation(instance, name).assign(instance, value)

    return property(read, write)


def answer_for(instance: Any, slot: str) -> Any:
    """Answer for an empty slot: decode, load, or say what is missing."""
    mapper = type(instance).__mapper__
    if not mapper.configured:
        mapper.registry.configure(mapper)
    return mapper.missing[slot](instance)


def reverse_one_property(name: str) -> property:
    """Return the property of the reverse side of a one-to-one relation."""

    def read(instance: Any) -> Any:
        relation = _relation(instance, name)
        found = relation.peek(instance)
        if found is not UNSET:
            return found
        context = instance._ctx_
        if context is None or relation.owner.is_new(instance):
            return None
        return context.session.load_lazily(instance, relation)

    def write(instance: Any, value: Any) -> None:
        _relation(instance, name).assign(instance, value)

    return property(read, write)


def to_many_property(name: str) -> property:
    """Return the property of a to-many relation; assigning makes the list hold exactly the new objects."""

    def read(instance: Any) -> Any:
        extra = instance._extra_
        if extra is not None:
            found = extra.get(name)
            if found is not None:
                return found
        return _relation(instance, name).collection(instance)

    def write(instance: Any, objects: Any) -> None:
        read(instance).set(objects)

    return property(read, write)
