"""Wrong declarations, constructors and assignments: each marked line must be an error."""

from decimal import Decimal
from typing import Optional

from blaze import Field, ForeignKey, ManyToMany, Model, field, foreign_key, many_to_many
from tests.typing.accept_models import Author, Book, Everything, Review, Tag, User


class Wrong(Model):
    number: Field[int] = field(default="x")  # error
    text: Field[str] = field(default=None)  # error
    items: Field[dict[str, int]] = field(default_factory=list)  # error
    option: Field[str] = field(max_lenght=5)  # error
    length: Field[str] = field(max_length="5")  # error
    plain: Field[int] = 5  # error
    other: Field[int] = foreign_key()  # error
    author: ForeignKey[Author] = field()  # error
    wrong_target: ForeignKey[int] = foreign_key()  # error
    action: ForeignKey[Author] = foreign_key(on_delete="EXPLODE")  # error
    required: ForeignKey[Author] = foreign_key(default=None)  # error
    tags: ManyToMany[Tag] = foreign_key()  # error
    pages: ForeignKey[Author] = many_to_many()  # error


def constructors(author: Author, tag: Tag) -> None:
    Book(titel="x", price=Decimal(1), author=author)  # error
    Book(titel="x")  # error
    Book()  # error
    Book(title="x", price=Decimal(1))  # error
    Book(price=Decimal(1), author=author)  # error
    Book(title=5, price=Decimal(1), author=author)  # error
    Book(title="x", price="1", author=author)  # error
    Book(title="x", price=Decimal(1), author=tag)  # error
    Book(title="x", price=Decimal(1), author=None)  # error
    Book(title="x", price=Decimal(1), author=1)  # error
    Book(title=None, price=Decimal(1), author=author)  # error
    Book("x", Decimal(1), author)  # error
    Author(id=1, name="x")  # error
    Author(name="x", books=[])  # error
    User()  # error
    Review(text="x")  # error
    Review(book_id="1", text="x")  # error
    Everything(count=1)  # error


def assignments(book: Book, tag: Tag, nobody: Optional[Author]) -> None:
    book.title = 5  # error
    book.title = None  # error
    book.price = "1"  # error
    book.author = tag  # error
    book.author = nobody  # error
    book.author = 1  # error
    book.editor = tag  # error
    book.author_id = "1"  # error
    book.titel = "x"  # error


def attributes(book: Book) -> None:
    print(book.titel)  # error
    print(Book.titel)  # error
    print(book.published.year)  # error
    print(book.title.startwith("x"))  # error
    number: int = book.title  # error
    print(number)
