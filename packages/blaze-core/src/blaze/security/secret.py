"""A text that does not show itself."""

from __future__ import annotations

from typing import Any

from blaze.errors import ConfigurationError

__all__ = ["Secret"]

_MASK = "***"


class Secret:
    """Hold a text that shows as ``***``; call ``reveal()`` at the last moment, in the call that needs it.

    Pickling drops the text: the copy raises ConfigurationError when revealed. Not a ``str``, so joining,
    formatting or encoding it by accident cannot leak it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text: Any = text

    def reveal(self) -> str:
        """Give the text itself."""
        if self._text is None:
            raise ConfigurationError(
                "a secret does not travel in a pickle; build the configuration again in this process,"
                " for example with ConnectionConfig.from_env()"
            )
        return str(self._text)

    def __repr__(self) -> str:
        return f"Secret('{_MASK}')"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self._text is None or other._text is None:
            return self._text is other._text
        from hmac import compare_digest

        return compare_digest(self._text.encode("utf-8"), other._text.encode("utf-8"))

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Secret, (None,)
