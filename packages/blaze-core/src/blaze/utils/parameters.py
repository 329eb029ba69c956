"""How parameters of statements are shown where values may not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Protocol, Union

__all__ = ["ParameterRedactor", "Params", "hide_parameters"]

Params = Union[Sequence[Any], Mapping[str, Any]]


class ParameterRedactor(Protocol):
    """What turns parameters into something fit for a log, such as `blaze.security.Redactor`."""

    def parameters(self, params: Params, names: Optional[Sequence[Optional[str]]] = None) -> Any:
        """Return a copy made of texts; `names` are the columns of positional parameters."""
        ...


def hide_parameters(
    params: Params,
    redactor: Optional[ParameterRedactor] = None,
    names: Optional[Sequence[Optional[str]]] = None,
) -> Any:
    """Return what a redactor lets through; without a redactor only the types of the values."""
    if redactor is not None:
        return redactor.parameters(params, names)
    if isinstance(params, Mapping):
        return {str(name): _type_of(value) for name, value in params.items()}
    return [_type_of(value) for value in params]


def _type_of(value: Any) -> str:
    return "None" if value is None else f"<{type(value).__name__}>"
