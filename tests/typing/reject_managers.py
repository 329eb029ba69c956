"""Wrong use of `Model.objects`: each marked line must be an error."""

from tests.typing.accept_models import Author, Book


def managers(book: Book) -> None:
    authors: list[Author] = Book.objects.all()  # error
    Book.objects.where(Book.price < "x")  # error
    Book.objects.where(True)  # error
    print(Book.objects.first().title)  # error
    Book.objects.nothing()  # error
    book.objects.all()  # error
    print(authors)
