"""`Model.objects`."""

from typing import Any, ClassVar, Optional

from typing_extensions import assert_type

from blaze import Field, Manager, Model, Q, QuerySet, field
from tests.typing.accept_models import Author, Book, Everything


class ShelfManager(Manager["Shelf"]):
    def full(self) -> "list[Shelf]":
        return self.where(Shelf.free == 0).all()


class Shelf(Model):
    free: Field[int] = field(default=0)
    library: ClassVar[ShelfManager] = ShelfManager()


class KeptManager(Manager[Any]):
    def kept(self) -> QuerySet[Any]:
        return self.filter(kept=True)


class KeptBase(Model):
    kept: Field[bool] = field(default=True)
    kept_ones: ClassVar[KeptManager] = KeptManager()

    class Meta:
        abstract = True


class KeptThing(KeptBase):
    name: Field[str]


def inherited_manager() -> None:
    assert_type(KeptThing.kept_ones, KeptManager)
    assert_type(KeptThing.kept_ones.kept(), QuerySet[Any])
    assert_type(KeptThing.objects, Manager[KeptThing])


def own_manager() -> None:
    assert_type(Shelf.library, ShelfManager)
    assert_type(Shelf.library.full(), list[Shelf])
    assert_type(Shelf.library.order_by(Shelf.free).first(), Optional[Shelf])
    assert_type(Shelf.objects, Manager[Shelf])


def managers() -> None:
    assert_type(Author.objects, Manager[Author])
    assert_type(Everything.objects, Manager[Everything])
    found = Author.objects.filter(Q(name__icontains="le guin") | ~Q(books__price__gt=50)).exclude(
        email__isnull=True
    )
    assert_type(found.all(), list[Author])
    assert_type(Book.objects.all(), list[Book])
    assert_type(Book.objects.where(Book.price < 20).first(), Optional[Book])
    assert_type(Book.objects.count(), int)
    for book in Book.objects.order_by(Book.title):
        assert_type(book, Book)
