"""Objects that refer to deleted ones are refused before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blaze.errors import SessionError

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.persistence.unit_of_work import UnitOfWork


def refuse_orphans(new: dict[Mapper, list[Any]], deleted: dict[int, Any]) -> None:
    """Raise `SessionError` for a new object that refers to one that is deleted: it would go with that, or
    lose its key. A key that another new object takes over may be referred to.
    """
    for instances in new.values():
        for instance in instances:
            mapper = type(instance).__mapper__
            for relation in mapper.key_relations:
                related = relation.known(instance)
                if related is None or id(related) not in deleted:
                    continue
                target = relation.target
                key = target.key(related)
                if all(target.key(o) != key for o in new.get(target.base, ())):
                    raise SessionError(
                        f"a new {mapper.name} refers by {mapper.name}.{relation.name} to the {target.name} "
                        f"with the key {target.shown_key(key)}, which is deleted: point it at another one, "
                        "or delete that after it has been saved"
                    )


def refuse_dropped(work: UnitOfWork, deleted: dict[int, Any]) -> None:
    """Raise `SessionError` for an object that refers to a new one which was deleted before it was saved."""
    for instance in (*work.new.values(), *work.changed.values()):
        mapper = type(instance).__mapper__
        for relation in mapper.key_relations if id(instance) not in deleted else ():
            if id(relation.peek(instance)) in work.dropped:
                who = f"a new {mapper.name}"
                if not mapper.is_new(instance):
                    who = f"the {mapper.name} with the key {mapper.shown_key(mapper.key(instance))}"
                raise SessionError(
                    f"{who} refers by {mapper.name}.{relation.name} to a new {relation.target.name} that was "
                    "deleted before it was saved: point it at another one, delete() it, or add() that again"
                )
