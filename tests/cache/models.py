"""The models of the cache tests."""

from __future__ import annotations

from typing import Optional

from blaze import (
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    OneToMany,
    field,
    foreign_key,
    key_column,
    many_to_many,
    one_to_many,
)


class Writer(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    works: OneToMany[Work] = one_to_many()

    class Meta:
        table = "cached_writer"


class Label(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]

    class Meta:
        table = "cached_label"


class Work(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    writer: ForeignKey[Optional[Writer]] = foreign_key(related_name="works", on_delete="CASCADE")
    editor: ForeignKey[Optional[Writer]] = foreign_key(related_name="edited", on_delete="SET NULL")
    writer_id: Field[Optional[int]] = key_column()
    editor_id: Field[Optional[int]] = key_column()
    labels: ManyToMany[Label] = many_to_many(related_name="works")

    class Meta:
        table = "cached_work"


class Page(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    work: ForeignKey[Work] = foreign_key(related_name="pages", on_delete="CASCADE")

    class Meta:
        table = "cached_page"


MODELS: list[type[Model]] = [Writer, Label, Work, Page]
