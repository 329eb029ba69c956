"""The tables of the tests of faults."""

from __future__ import annotations

from typing import Optional

from blaze import Check, Field, ForeignKey, Model, Unique, field, foreign_key

__all__ = ["MODELS", "Item", "Part"]


class Item(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=40, unique=True)
    size: Field[int] = field(default=0)
    note: Field[Optional[str]] = field(default=None, max_length=10)

    class Meta:
        table = "fault_item"
        constraints = (Check("size >= 0", name="fault_size"), Unique("size", "note", name="fault_size_note"))


class Part(Model):
    id: Field[int] = field(primary_key=True)
    item: ForeignKey[Item] = foreign_key(related_name="parts", on_delete="RESTRICT")

    class Meta:
        table = "fault_part"


MODELS = [Item, Part]
