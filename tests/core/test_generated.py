"""Generated functions do what the plain, generic way does, and their source can be read."""

from __future__ import annotations

import linecache
import traceback
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blaze import Field, ForeignKey, Model, field, foreign_key
from blaze.core.codec import ModelCodec
from blaze.core.loaders import Shape, default_attributes, make_entity_loader
from blaze.engine import Engine
from blaze.persistence.identity_map import IdentityMap


class Shelf(Model):
    id: Field[int] = field(primary_key=True)
    room: Field[str]


class Volume(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str]
    price: Field[Optional[Decimal]] = field(precision=10, scale=2, default=None)
    bought: Field[Optional[datetime]] = field(default=None)
    lent: Field[bool] = field(default=False)
    notes: Field[Optional[dict[str, Any]]] = field(default=None)
    shelf: ForeignKey[Optional[Shelf]] = foreign_key(default=None)


def codec_of(model: Any) -> ModelCodec:
    return ModelCodec(model.__mapper__, Engine("sqlite://").dialect)


VOLUMES = st.fixed_dictionaries(
    {
        "id": st.integers(1, 2**62),
        "title": st.text(max_size=20),
        "price": st.none() | st.decimals(min_value=-1000, max_value=1000, places=2),
        "bought": st.none() | st.datetimes(timezones=st.just(timezone.utc)),
        "lent": st.booleans(),
        "notes": st.none() | st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
        "shelf_id": st.none() | st.integers(1, 1000),
    }
)


@given(st.lists(VOLUMES, max_size=5, unique_by=lambda values: values["id"]))
def test_the_generated_loader_and_taker_agree_with_the_generic_way(rows: list[dict[str, Any]]) -> None:
    codec = codec_of(Volume)
    attributes = codec.mapper.columns
    stored = [[codec.encode(a, values[a.name]) for a in attributes] for values in rows]
    generic = [{a.name: codec.decode(a, raw) for a, raw in zip(attributes, row)} for row in stored]

    class Holder:
        closed = True

        @staticmethod
        def thaw(instance: Any, attribute: Any, raw: Any) -> Any:
            return codec.decode(attribute, raw)

    loaded = codec.load(stored, IdentityMap(), Holder(), "batch")
    assert [{a.name: getattr(o, a.name) for a in attributes} for o in loaded] == generic == rows
    made = [Volume(**values) for values in rows]
    assert codec.taker(attributes, False)(made) == [tuple(row) for row in stored]
    assert codec.taker(attributes, True)(made) == [value for row in stored for value in row]


def test_a_row_of_a_known_key_gives_the_known_object_untouched() -> None:
    codec = codec_of(Shelf)
    identity = IdentityMap()
    (first,) = codec.load([(1, "hall")], identity, None, "batch")
    (again,) = codec.load([(1, "attic")], identity, None, "batch")
    assert again is first
    assert first.room == "hall"


def test_a_joined_row_without_counterpart_gives_none() -> None:
    dialect = Engine("sqlite://").dialect
    codec = ModelCodec(Volume.__mapper__, dialect)
    relation = Volume.__mapper__.relations["shelf"]
    shape = Shape(
        Volume.__mapper__,
        codec.attributes,
        [(relation, Shape(Shelf.__mapper__, default_attributes(Shelf.__mapper__)))],
    )
    load = make_entity_loader(shape, dialect)
    rows = [
        (1, "a", None, None, 0, None, 7, 7, "hall"),
        (2, "b", None, None, 1, None, 7, 7, "hall"),
        (3, "c", None, None, 0, None, None, None, None),
    ]
    one, two, three = load(rows, IdentityMap(), None, "batch")
    assert one.shelf.room == "hall"
    assert two.shelf is one.shelf
    assert three.shelf is None


def test_a_traceback_shows_the_generated_source() -> None:
    codec = codec_of(Shelf)
    with pytest.raises(ValueError, match="unpack") as caught:
        codec.load([(1, "hall", "one too many")], IdentityMap(), None, "batch")
    shown = "".join(traceback.format_tb(caught.value.__traceback__))
    assert "for v0, v1 in rows:" in shown
    name = codec.load.__code__.co_filename
    assert name.startswith("<blaze load")
    assert "".join(linecache.getlines(name)).startswith("def load(")
