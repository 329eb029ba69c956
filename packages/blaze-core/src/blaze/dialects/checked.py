"""Decoders whose results are nearly always as they should be."""

from __future__ import annotations

from typing import Any, Callable

Codec = Callable[[Any], Any]


class Checked:
    """A decoder whose results must have one value in one attribute; `otherwise` mends or refuses the others.

    Loaders write the test out, so that what is as it should be costs no call beside that of `read`.
    """

    __slots__ = ("attribute", "otherwise", "read", "wanted")

    def __init__(self, read: Codec, attribute: str, wanted: Any, otherwise: Codec) -> None:
        self.read = read
        self.attribute = attribute
        self.wanted = wanted
        self.otherwise = otherwise

    def __call__(self, value: Any) -> Any:
        """Read one value."""
        found = self.read(value)
        return found if getattr(found, self.attribute) is self.wanted else self.otherwise(found)
