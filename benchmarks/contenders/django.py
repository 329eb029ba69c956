"""Django's ORM as a good Django user writes it; its connection stays open, as between requests."""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from typing import Any

import django
import pymysql
from django.apps import AppConfig
from django.conf import settings

from benchmarks.contenders.contender import Change, Contender, Run, handed_over
from benchmarks.data import Library, Row
from benchmarks.databases import Database
from benchmarks.databases.sqlite import PRAGMAS

pymysql.install_as_MySQLdb()
settings.configure(
    INSTALLED_APPS=[AppConfig("benchmarks.contenders", import_module("benchmarks.contenders"))],
    USE_TZ=True,
    TIME_ZONE="UTC",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django.db import connection, connections, models, transaction  # noqa: E402

CHUNK = 1000


class Iterable(models.Manager):
    """What verifies the data walks over relations."""

    def __iter__(self) -> Any:
        return iter(self.all())


class Item(models.Model):
    rank = models.IntegerField(db_index=True)
    name = models.CharField(max_length=80)
    quantity = models.IntegerField()
    ratio = models.FloatField()
    active = models.BooleanField()
    created = models.DateTimeField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    note = models.CharField(max_length=200, null=True)
    meta = models.JSONField()

    class Meta:
        db_table = "item"


class Country(models.Model):
    name = models.CharField(max_length=100)

    class Meta:
        db_table = "country"


class Publisher(models.Model):
    name = models.CharField(max_length=100)
    country = models.ForeignKey(Country, models.CASCADE)

    class Meta:
        db_table = "publisher"


class Author(models.Model):
    name = models.CharField(max_length=100)
    born = models.IntegerField()
    publisher = models.ForeignKey(Publisher, models.CASCADE, related_name="authors")

    objects = Iterable()

    class Meta:
        db_table = "author"


class Tag(models.Model):
    name = models.CharField(max_length=100)

    objects = Iterable()

    class Meta:
        db_table = "tag"


class Book(models.Model):
    title = models.CharField(max_length=100)
    pages = models.IntegerField()
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    tags = models.ManyToManyField(Tag, db_table="book_tag")

    objects = Iterable()

    class Meta:
        db_table = "book"


MODELS = [Item, Country, Publisher, Author, Tag, Book]


def settings_of(database: Database) -> dict[str, Any]:
    """Return what stands in DATABASES."""
    given: dict[str, Any] = {"ENGINE": f"django.db.backends.{database.backend}", "NAME": database.name}
    if database.backend == "sqlite":
        pragmas = ";".join(f"PRAGMA {name}={value}" for name, value in PRAGMAS.items())
        return {**given, "ENGINE": "django.db.backends.sqlite3", "OPTIONS": {"init_command": pragmas}}
    server = database.at()
    return {
        **given,
        "HOST": server.host,
        "PORT": server.port,
        "USER": server.user,
        "PASSWORD": server.password,
    }


class Django(Contender):
    name = "django"

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        connections.settings = connections.configure_settings({"default": settings_of(database)})
        with connection.schema_editor() as editor:
            for model in MODELS:
                editor.create_model(model)

    def close(self) -> None:
        connection.close()
        del connections["default"]

    def seed_items(self, rows: list[Row]) -> None:
        self.insert_bulk(rows)()

    def seed_library(self, library: Library) -> None:
        tables: dict[Any, list[Row]] = {
            Country: library.countries,
            Publisher: library.publishers,
            Author: library.authors,
            Book: library.books,
            Tag: library.tags,
            Book.tags.through: library.links,
        }
        with transaction.atomic():
            for model, rows in tables.items():
                model.objects.bulk_create([model(**row) for row in rows], batch_size=CHUNK)

    def tags_of(self, book: Any) -> list[Any]:
        return list(book.tags.all())

    def hold_items(self) -> tuple[Any, list[Any]]:
        return ExitStack(), list(Item.objects.all())

    def item_class(self) -> Any:
        return Item

    # writes

    def insert_one(self, rows: list[Row]) -> Run:
        return lambda: [Item.objects.create(**row) for row in handed_over(rows)]

    def insert_uow(self, rows: list[Row]) -> Run:
        def run() -> list[Item]:
            with transaction.atomic():
                return Item.objects.bulk_create([Item(**row) for row in handed_over(rows)])

        return run

    def insert_bulk(self, rows: list[Row]) -> Run:
        return self.bulk_insert(rows)

    def bulk_insert(self, rows: list[Row]) -> Run:
        def run() -> None:
            with transaction.atomic():
                Item.objects.bulk_create([Item(**row) for row in rows], batch_size=CHUNK)

        return run

    def update_uow(self, changes: list[Change]) -> Run:
        def run() -> None:
            with transaction.atomic():
                loaded = list(Item.objects.filter(id__lte=len(changes)).order_by("id"))
                for item, (_, quantity, name) in zip(loaded, changes):
                    item.quantity = quantity
                    item.name = name
                Item.objects.bulk_update(loaded, ["quantity", "name"], batch_size=100)

        return run

    def bulk_update(self, changes: list[Change]) -> Run:
        loaded = list(Item.objects.filter(id__lte=len(changes)).order_by("id"))

        def run() -> None:
            for item, (_, quantity, name) in zip(loaded, changes):
                item.quantity = quantity
                item.name = name
            Item.objects.bulk_update(loaded, ["quantity", "name"], batch_size=100)

        return run

    def delete_uow(self, count: int) -> Run:
        loaded = list(Item.objects.filter(id__lte=count))

        def run() -> None:
            with transaction.atomic():
                for item in loaded:
                    item.delete()

        return run

    # reads; Django has neither sessions nor an identity map

    def read_all(self) -> Run:
        return lambda: list(Item.objects.all())

    def read_filter(self, ranges: list[tuple[int, int]]) -> Run:
        return lambda: [list(Item.objects.filter(rank__gte=low, rank__lt=high)) for low, high in ranges]

    def get_pk(self, keys: list[int]) -> Run:
        return lambda: [Item.objects.get(pk=key) for key in keys]

    def get_pk_identity(self, keys: list[int]) -> Run:
        return lambda: [Item.objects.get(pk=key) for key in keys]

    def join_eager_fk(self) -> Run:
        def run() -> list[Book]:
            books = list(Book.objects.select_related("author"))
            for book in books:
                book.author.name  # noqa: B018
            return books

        return run

    def prefetch_o2m(self) -> Run:
        def run() -> list[Author]:
            authors = list(Author.objects.prefetch_related("books"))
            for author in authors:
                len(author.books.all())
            return authors

        return run

    def prefetch_o2m_nested(self) -> Run:
        def run() -> list[Publisher]:
            publishers = list(Publisher.objects.prefetch_related("authors__books"))
            for publisher in publishers:
                for author in publisher.authors.all():
                    len(author.books.all())
            return publishers

        return run

    def prefetch_m2m(self) -> Run:
        def run() -> list[Book]:
            books = list(Book.objects.prefetch_related("tags"))
            for book in books:
                len(book.tags.all())
            return books

        return run
