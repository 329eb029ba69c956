"""Names of `typing` that Python 3.11 brought; older ones have them from `typing_extensions`."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    from typing import TypeVarTuple, Unpack, dataclass_transform
else:
    from typing_extensions import TypeVarTuple, Unpack, dataclass_transform

__all__ = ["TypeVarTuple", "Unpack", "dataclass_transform"]
