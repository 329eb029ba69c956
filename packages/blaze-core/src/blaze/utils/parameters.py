"""How parameters of statements are shown where values may not be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Optional, Protocol, Union

from blaze.utils.parameter_names import parameter_names

__all__ = ["NamedParameters", "ParameterRedactor", "Params", "first_parameters", "show_parameters"]

Params = Union[Sequence[Any], Mapping[str, Any]]

SHOWN = 32  # parameters of a sample or a log record


class NamedParameters(tuple):  # type: ignore[type-arg]
    """Positional parameters that the user gave under names; None is the name of one without."""

    names: tuple[Optional[str], ...]

    def __new__(cls, values: Iterable[Any], names: Iterable[Optional[str]]) -> NamedParameters:
        made = super().__new__(cls, values)
        made.names = tuple(names)
        return made


class ParameterRedactor(Protocol):
    """What turns parameters into something fit for a log, such as `blaze.security.Redactor`."""

    def parameters(self, params: Params, names: Optional[Sequence[Optional[str]]] = None) -> Any:
        """Return a copy made of texts; `names` are the columns of positional parameters."""
        ...


def first_parameters(params: Params) -> Params:
    """Return the parameters that are kept to be shown."""
    if isinstance(params, Mapping):
        return dict(islice(params.items(), SHOWN))
    if isinstance(params, NamedParameters):
        return NamedParameters(params[:SHOWN], params.names[:SHOWN])
    return params[:SHOWN]


def show_parameters(sql: str, params: Params, redactor: Optional[ParameterRedactor] = None) -> Any:
    """Return what a redactor lets through of the parameters of a statement; without one only their types.

    The text of the statement tells which columns they belong to.
    """
    if not params:
        return []
    kept = params if len(params) <= SHOWN else first_parameters(params)
    if redactor is not None:
        shown = redactor.parameters(kept, parameter_names(sql, SHOWN))
        if isinstance(kept, NamedParameters):
            # Hidden is what either its column or the name that the user gave it hides.
            by_name = redactor.parameters(kept, kept.names)
            shown = [theirs if theirs == "***" else mine for mine, theirs in zip(shown, by_name)]
    elif isinstance(kept, Mapping):
        shown = {str(name): _type_of(value) for name, value in kept.items()}
    else:
        shown = [_type_of(value) for value in kept]
    if len(params) > SHOWN and isinstance(shown, list):
        shown.append(f"... ({len(params)} parameters)")
    return shown


def _type_of(value: Any) -> str:
    return "None" if value is None else f"<{type(value).__name__}>"
