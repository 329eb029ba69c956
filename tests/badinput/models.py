"""A small shop of models with every kind of constraint."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Optional

from blaze import (
    Check,
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    OneToMany,
    Unique,
    field,
    foreign_key,
    many_to_many,
    one_to_many,
)


class Writer(Model):
    name: Field[str] = field(max_length=20)
    email: Field[Optional[str]] = field(unique=True, default=None)
    works: OneToMany[Work] = one_to_many()


class Work(Model):
    title: Field[str]
    price: Field[Decimal] = field(default=Decimal(1))
    meta: Field[dict[str, Any]] = field(default_factory=dict)
    writer: ForeignKey[Writer] = foreign_key(related_name="works")
    labels: ManyToMany[Label] = many_to_many(related_name="works")

    class Meta:
        constraints = [Check("price >= 0", name="ck_price"), Unique("title", "writer")]


class Label(Model):
    name: Field[str] = field(unique=True)


MODELS = (Writer, Work, Label)
