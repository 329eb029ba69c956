"""Primary keys as callers and databases give them."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, Any

from blaze.errors import QueryError, SessionError
from blaze.security.redaction import redactor
from blaze.sql.values import INTEGER
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper

MISSING: Any = object()  # what stands for a key that is given by keywords, or not at all


def checked_key(mapper: Mapper, key: Any, keys: dict[str, Any]) -> Any:
    """Return a primary key given as a value, a tuple or keywords; raise `QueryError` when it cannot be
    one.
    """
    pk = mapper.pk
    if not keys and key.__class__ is int and len(pk) == 1 and pk[0].type == INTEGER and 0 <= key < 2**63:
        return key
    names = [attribute.name for attribute in pk]
    if keys:
        if key is not MISSING:
            raise QueryError(f"give the key of {mapper.name} once: as a value or by keywords")
        for name in keys:
            if name not in names:
                raise QueryError(f"{name!r} is not part of the key of {mapper.name}{suggest(name, names)}")
        if len(keys) < len(names):
            raise QueryError(f"the key of {mapper.name} has the parts {', '.join(names)}")
        key = tuple(keys[name] for name in names) if len(names) > 1 else keys[names[0]]
    elif key is MISSING:
        raise QueryError(f"the key of {mapper.name} is missing: {', '.join(names)}")
    values = key if len(pk) > 1 else (key,)
    if len(pk) > 1 and (not isinstance(key, (tuple, list)) or len(key) != len(pk)):
        given = f"one of length {len(key)}" if isinstance(key, (tuple, list)) else f"a {type(key).__name__}"
        raise QueryError(f"the key of {mapper.name} is a tuple ({', '.join(names)}), not {given}")
    for attribute, value in zip(pk, values):
        problem = attribute.type.check(value) if value is not None else "None is no key"
        if problem is not None:
            problem = redactor.problem(attribute.name, value, problem)
            raise QueryError(f"{mapper.name}: the key {attribute.name!r} does not fit: {problem}")
    return tuple(key) if len(pk) > 1 else key


def check_keys(mapper: Mapper, instances: Sized, keys: Sized) -> None:
    """Raise `SessionError` where not every inserted object has got a key: nobody knows whose are missing."""
    if len(keys) != len(instances):
        raise SessionError(
            f"INSERT of {len(instances)} {mapper.name} objects returned {len(keys)} keys: a trigger or rule "
            "of the database leaves rows out; insert them without keys, as bulk_insert() does by default"
        )
