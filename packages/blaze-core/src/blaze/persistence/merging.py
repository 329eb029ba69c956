"""Copy objects of elsewhere, with what hangs on them, into a session."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from blaze.core.specs import UNSET
from blaze.errors import ModelError, StaleDataError
from blaze.persistence.loading import load_relation
from blaze.persistence.objects import get_plan
from blaze.plan import Plan

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase


def merge_plan(session: SessionBase, instance: Any) -> Plan[Any]:
    """Copy an object and the loaded objects around it into the session's own objects of the same keys.

    Everything is read before the first object is changed, so that no autoflush meets half a graph.
    """
    if getattr(type(instance), "__mapper__", None) is None:
        raise ModelError(f"cannot merge {type(instance).__name__}: it is not an instance of a model")
    session.check_usable()
    sources = [instance]
    targets: dict[int, Any] = {}
    for source in sources:  # grows while it is gone through
        session.let_go((source,))
        if id(source) in targets:
            continue
        target = yield from _target(session, source)
        targets[id(source)] = target
        if target is not source:
            sources += _around(source)
    pairs = [(source, targets[id(source)]) for source in {id(o): o for o in sources}.values()]
    pairs = [(source, target) for source, target in pairs if target is not source]
    for source, target in pairs:
        mapper = type(source).__mapper__
        if mapper.is_new(target):
            continue
        for relation in mapper.relations.values():
            found, own = relation.peek(source), relation.peek(target)
            if found is UNSET or relation.owns_key or (relation.many and not found.is_whole):
                continue
            if own is UNSET or (relation.many and not own.is_loaded):
                yield from load_relation(session, [target], relation)
    for source, target in pairs:
        _copy_values(type(source).__mapper__, source, target)
    for source, target in pairs:
        _copy_relations(type(source).__mapper__, source, target, targets)
    for _, target in pairs:
        if target._ctx_ is None:
            session.register(target)
    return targets[id(instance)]


def _target(session: SessionBase, source: Any) -> Plan[Any]:
    """Return the session's object for the key of another one, a blank one where there is none.

    Raises `StaleDataError` when the row has got another version since the source was loaded.
    """
    mapper = session.mapper_of(type(source).__mapper__.model)
    if source in session:
        return source
    key = mapper.key(source)
    target = None
    if key is not None:
        target = yield from get_plan(session, mapper.model, key, {}, watched=False)  # there is no cure
    if target is None:
        target = object.__new__(mapper.model)
        target._ctx_ = target._old_ = target._extra_ = None
        return target
    version = mapper.version
    if version is not None:
        mine, theirs = version.peek(source), version.peek(target)
        if mine not in (None, UNSET, theirs):
            raise StaleDataError(
                f"merge() of a {mapper.name} (key {mapper.shown_key(key)}) with version {mine}: the row has "
                f"version {theirs}; load it again and apply the change to that"
            )
    return target


def _around(source: Any) -> list[Any]:
    """Return the objects that the loaded relations of an object show."""
    found = []
    for relation in type(source).__mapper__.relations.values():
        related = relation.peek(source)
        if related is None or related is UNSET:
            continue
        if relation.many:
            found += [*related.peek(), *related.removed.values()]
        else:
            found.append(related)
    return found


def _copy_values(mapper: Mapper, source: Any, target: Any) -> None:
    """Copy every column that was loaded or set from one object to another."""
    fresh = mapper.is_new(target)
    for name, value in source.to_dict().items():
        attribute = mapper.attributes[name]
        if (attribute in mapper.pk and not fresh) or attribute.spec.generated is not None:
            continue
        relations = attribute.keys_of if value is None and not fresh else ()
        if relations and not any(relation.is_given(source) for relation in relations):
            continue
        if attribute.mutable:
            value = deepcopy(value)  # the two objects must not change together
        if fresh or attribute.peek(target) is UNSET or getattr(target, name) != value:
            setattr(target, name, value)


def _copy_relations(mapper: Mapper, source: Any, target: Any, targets: dict[int, Any]) -> None:
    """Relate an object to the session's own objects as another one is related to its own."""
    for relation in mapper.relations.values():
        found = relation.peek(source)
        if found is None or found is UNSET:
            continue
        name = relation.name
        if not relation.many:
            if relation.peek(target) is not targets[id(found)]:
                setattr(target, name, targets[id(found)])
            continue
        own = getattr(target, name)
        items = [targets[id(item)] for item in found.peek()]
        if found.is_whole and own.is_loaded:
            own.set(items)
        else:
            own.add(*items)
            own.remove(*[targets[id(item)] for item in found.removed.values()])
