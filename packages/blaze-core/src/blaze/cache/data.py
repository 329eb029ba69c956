"""What may be cached: data as JSON knows it, and copies of it."""

from __future__ import annotations

import math
from typing import Any, Optional

__all__ = ["check_json", "copy_json", "is_flat", "size_of"]

_SCALARS = frozenset({str, int, float, bool, type(None)})


def check_json(value: Any) -> Optional[str]:
    """Return what keeps a value from being JSON-like, None when nothing does.

    JSON-like are None, bool, int, str, finite floats, and lists and dicts with text keys of such; of exactly
    these types, since subclasses would come back as something else.
    """
    kind = type(value)
    if kind is float:
        return None if math.isfinite(value) else f"{value} is no JSON number"
    if kind in _SCALARS:
        return None
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                return f"the key of a dict is {_name(key)}, not str"
            problem = check_json(item)
            if problem:
                return problem
        return None
    if kind is list:
        return next(filter(None, map(check_json, value)), None)
    return f"it holds {_name(value)}"


def is_flat(value: Any) -> bool:
    """Whether a shallow copy of a JSON-like value is a full one."""
    if type(value) is dict:
        return all(type(item) in _SCALARS for item in value.values())
    return type(value) in _SCALARS


def copy_json(value: Any) -> Any:
    """Copy a JSON-like value, so that changing one side does not change the other."""
    if type(value) is dict:
        return {key: copy_json(item) for key, item in value.items()}
    if type(value) is list:
        return [copy_json(item) for item in value]
    return value


def size_of(key: str, value: Any) -> int:
    """Return the length of a key and the JSON of its value."""
    import json

    return len(key) + len(json.dumps(value, separators=(",", ":")))


def _name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".replace("builtins.", "")
