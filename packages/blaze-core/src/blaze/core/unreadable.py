"""The errors for values that a column cannot hold, and for stored ones that cannot be read as its type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.specs import UNSET
from blaze.errors import DataError
from blaze.security.redaction import redactor

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.dialects.types import SQLType


def unreadable(
    what: str, type_: Optional[SQLType], value: Any, column: str, error: BaseException
) -> DataError:
    """Return the error for a value of a column; the value is shown by an enum only, which names it."""
    wanted = "" if type_ is None else f" as {type_!r}"
    why = f"the database holds a {type(value).__name__} that does not fit"
    if isinstance(error, DataError) and not redactor.is_sensitive(column):
        why = str(error)
    return DataError(
        f"{what} cannot be read{wanted}: {why}; correct the row, or the type of the column", columns=(column,)
    )


class Unwritable:
    """What a generated taker calls with values of which an encoder has refused one."""

    def __init__(self, encoder_of: Callable[[SQLType], Any], attributes: Sequence[Attribute]) -> None:
        self.encoder_of = encoder_of
        self.attributes = attributes

    def __call__(self, model: str, values: Sequence[Any], error: DataError) -> None:
        """Raise `DataError` naming the field."""
        for attribute, value in zip(self.attributes, values):
            if value is None or value is UNSET or not _fails(self.encoder_of(attribute.type), value):
                continue
            column = attribute.column.name
            why = "the value does not fit" if redactor.is_sensitive(column) else str(error)
            raise DataError(f"{model}.{attribute.name}: {why}", columns=(column,)) from error
        raise error


class Reading:
    """What the variables of a generated loader hold, for finding the value that it could not read."""

    def __init__(self) -> None:
        self.entities: list[tuple[Mapper, Mapping[Attribute, str]]] = []
        self.columns: list[tuple[str, str, Callable[[Any], Any]]] = []

    def refuse(self, decoder_of: Callable[[SQLType], Any], error: Exception, values: dict[str, Any]) -> None:
        """Raise `DataError` naming model, column and key when the error is that of a decoder.

        `values` are the loader's variables when it failed.
        """
        for mapper, columns in self.entities:
            for attribute, variable in columns.items():
                value = values.get(variable)
                if value is None or (attribute in mapper.pk and isinstance(value, attribute.type.accepts)):
                    continue  # keys may stand decoded in their variables already
                if _fails(decoder_of(attribute.type), value):
                    key = [values.get(columns[a]) for a in mapper.pk]
                    shown = mapper.shown_key(key[0] if len(key) == 1 else tuple(key))
                    what = f"{mapper.name}.{attribute.name} of the row with the key {shown}"
                    if attribute in mapper.pk:
                        what = f"{mapper.name}.{attribute.name}"
                    raise unreadable(what, attribute.type, value, attribute.column.name, error) from error
        for name, variable, decoder in self.columns:
            value = values.get(variable)
            if value is not None and _fails(decoder, value):
                raise unreadable(f"the column {name!r} of the result", None, value, name, error) from error


def _fails(decoder: Any, value: Any) -> bool:
    if decoder is None:
        return False
    try:
        decoder(value)
    except Exception:
        return True
    return False
