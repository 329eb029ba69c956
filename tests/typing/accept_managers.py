"""`Model.objects`."""

from typing import Optional

from typing_extensions import assert_type

from blaze import Manager, Q
from tests.typing.accept_models import Author, Book, Everything


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
