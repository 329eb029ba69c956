"""Wrong use of relations: each marked line must be an error."""

from blaze import Session
from tests.typing.accept_models import Author, Book, Tag


def paths(tag: Tag) -> None:
    print(Book.author.titel)  # error
    print(Book.author.title)  # error
    print(Author.books.name)  # error
    print(Book.tags.price)  # error
    print(Book.author.name < 5)  # error
    Book.author.in_([tag])  # error
    Book.author.is_(tag)  # error


def conditions(session: Session, tag: Tag) -> None:
    session.query(Book).where(Book.author == tag)  # error
    session.query(Book).where(Book.author == 1)  # error
    session.query(Book).where(Book.author)  # error


def instances(book: Book, author: Author, tag: Tag) -> None:
    print(book.author.titel)  # error
    print(book.editor.name)  # error
    book.tags.add(author)  # error
    book.tags.add("sf")  # error
    book.tags.remove(1)  # error
    book.tags.set([author])  # error
    book.tags = [author]  # error
    author.books.insert(0, book)  # error
    author.books[0] = book  # error
    print(author.books[0].name)  # error


def eager(session: Session) -> None:
    session.query(Book).include(Book.title)  # error
    session.query(Book).select_related(Book.title)  # error
    session.query(Book).join(Book.title)  # error
    session.query(Book).include(5)  # error
    session.query(Author).include(Author.books.limit(3))  # error
    session.query(Author).include(some=Author.books)  # error
    Author.books.where("price < 20")  # error
    Author.books.limit("3")  # error
    session.add_m2m(Author(name="x"), Book.tags, "sf")  # error
