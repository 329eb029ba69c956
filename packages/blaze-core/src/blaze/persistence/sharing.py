"""Tell whether a JSON or array value can still be changed by somebody who holds it.

CPython counts references, so a value that only its instance holds is known to be safe to forget: the next
read decodes it again. Without reference counts every value counts as shared, which costs memory and no
correctness. The counts of an unshared value are measured here by the same calls, since they differ between
versions.
"""

from __future__ import annotations

import sys
from typing import Any

_count: Any = getattr(sys, "getrefcount", None)


class _Holder:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def peek(self) -> Any:
        return self.value


def _measure(value: Any) -> int:
    return _count(value) if _count is not None else 0


def _measure_part(container: Any) -> int:
    for part in container.values() if container.__class__ is dict else container:
        return _count(part) if _count is not None else 0
    return 0


_holder = _Holder({"part": []})
_LONE = max([_measure(holder.peek()) for holder in [_holder]])
_LONE_PART = max(_measure_part(_holder.value), _measure_part([{}]))


def is_shared(value: Any) -> bool:
    """Whether a mutable value, fresh from its slot, or a part of it is held by anybody else."""
    if value.__class__ is not dict and value.__class__ is not list:
        return False
    return _count is None or _count(value) > _LONE or _has_shared_part(value)


def _has_shared_part(container: Any) -> bool:
    for part in container.values() if container.__class__ is dict else container:
        kind = part.__class__
        if (kind is dict or kind is list) and (_count(part) > _LONE_PART or _has_shared_part(part)):
            return True
    return False
