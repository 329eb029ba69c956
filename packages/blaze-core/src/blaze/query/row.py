"""Rows of columns: tuples whose labels are attributes."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Optional, Tuple  # noqa: UP035 - tuple[Unpack] needs Python 3.11

from blaze.errors import UnknownFieldError
from blaze.security.redaction import redactor
from blaze.utils.compat import TypeVarTuple, Unpack
from blaze.utils.naming import suggest

Ts = TypeVarTuple("Ts")

if TYPE_CHECKING:

    class Row(Tuple[Unpack[Ts]]):  # noqa: UP006
        """A tuple whose labels are attributes."""

        _labels_: tuple[Optional[str], ...]

        # Labels go before the methods of tuples.
        count: Any
        index: Any

        def __getattr__(self, name: str) -> Any: ...
        def _asdict(self) -> dict[str, Any]: ...

else:

    class Row(tuple):
        """A tuple whose labels are attributes."""

        __slots__ = ()

        _labels_: tuple[Optional[str], ...] = ()

        def __class_getitem__(cls, item):
            return cls

        def __getattr__(self, name):
            labels = [label for label in self._labels_ if label]
            raise UnknownFieldError(f"the row has no column {name!r}{suggest(name, labels)}")

        def __repr__(self):
            shown = [
                f"{label or index}={redactor.shown(label or '', value)}"
                for index, (label, value) in enumerate(zip(self._labels_, self))
            ]
            return f"Row({', '.join(shown)})"

        def __reduce__(self):
            return _rebuild, (self._labels_, tuple(self))

        def _asdict(self):
            """Return the labelled columns as a dictionary."""
            return {label: value for label, value in zip(self._labels_, self) if label}


@lru_cache(maxsize=1024)
def row_class(labels: tuple[Optional[str], ...]) -> Any:
    """Return the class of rows with these labels; None stands for a column without a name."""
    names: dict[str, Any] = {"__slots__": (), "_labels_": labels}
    for index, label in enumerate(labels):
        if label and label not in names and not label.startswith("__"):
            names[label] = property(itemgetter(index))
    return type("Row", (Row,), names)


def _rebuild(labels: tuple[Optional[str], ...], values: tuple[Any, ...]) -> Any:
    return row_class(labels)(values)
