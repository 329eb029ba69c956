"""What queries and sessions give back."""

from decimal import Decimal
from typing import Any, Optional

from typing_extensions import assert_type

from blaze import Row, Session, func
from tests.typing.accept_models import Author, Book, Tag


def objects(session: Session) -> None:
    query = session.query(Book)
    assert_type(query.all(), list[Book])
    assert_type(query.first(), Optional[Book])
    assert_type(query.one(), Book)
    assert_type(query.one_or_none(), Optional[Book])
    assert_type(query.count(), int)
    assert_type(query.exists(), bool)
    assert_type(query.scalars(), list[Book])
    assert_type(query[0], Book)
    assert_type(query[0:5].all(), list[Book])
    assert_type([book.title for book in query], list[str])
    for book in query.stream():
        assert_type(book, Book)
    page = query.order_by(Book.id).paginate(20, after=None)
    assert_type(page.items, list[Book])
    assert_type(page.next, Optional[str])


def rows(session: Session) -> None:
    pairs = session.query(Book.title, Book.price).all()
    assert_type(pairs, list[Row[str, Decimal]])
    for title, price in pairs:
        assert_type(title, str)
        assert_type(price, Decimal)
    for row in session.query(Author.name, func.count(Book.id).label("n")):
        assert_type(row[0], str)
        assert_type(row[1], int)
        assert_type(row.n, Any)
        plain: tuple[str, int] = row
        print(plain)
    first = session.query(Book.title, Book.id).first()
    assert_type(first, Optional[Row[str, int]])


def single_columns(session: Session) -> None:
    assert_type(session.query(Book.title).all(), list[Row[str]])
    assert_type(session.query(Book.title).scalars(), list[str])
    assert_type(session.query(Book.title).scalar(), Optional[str])
    assert_type(session.query(Book.title, Book.id).scalars(), list[str])
    assert_type(session.query(Book.author).all(), list[Author])


def models_and_columns(session: Session) -> None:
    for book, name, tag in session.query(Book, Author.name, Tag):
        assert_type(book, Book)
        assert_type(name, str)
        assert_type(tag, Tag)


def many_columns(session: Session) -> None:
    eight = session.query(
        Book.id, Book.title, Book.price, Book.published, Author.id, Author.name, Author.email, Book
    ).one()
    assert_type(eight[2], Decimal)
    assert_type(eight[6], Optional[str])
    assert_type(eight[7], Book)
    nine = session.query(
        Book.id, Book.id, Book.id, Book.id, Book.id, Book.id, Book.id, Book.id, Book.title
    ).one()
    assert_type(nine[0], Any)


def annotated(session: Session) -> None:
    for author in session.query(Author).annotate(n=func.count(Author.books.id)):
        print(author.name, author.n)


def lookups(session: Session, book: Book) -> None:
    assert_type(session.get(Book, 1), Optional[Book])
    assert_type(session.get_one(Book, 1), Book)
    assert_type(session.get_or_create(Author, name="x"), tuple[Author, bool])
    assert_type(session.get_or_create(Author, defaults={"email": None}, name="x"), tuple[Author, bool])
    assert_type(session.merge(book), Book)
    assert_type(session.run_in_transaction(lambda: 1), int)
    assert_type(session.run_in_transaction(lambda own: own.query(Book).count()), int)
    session.add(book)
    session.add_all([book, Author(name="x")])
    session.delete(book)
    session.refresh(book)
    session.flush()
    session.commit()


def raw(session: Session) -> None:
    result = session.execute("SELECT id, title FROM book WHERE id = ?", [1])
    for number, title in result.all():
        print(number, title)
    assert_type(result.rowcount, int)
    session.execute("SELECT 1 WHERE 1 = :one", {"one": 1}).scalar()


def blocks() -> None:
    with Session("sqlite://", auto_commit=True, lazy="raise", performance_threshold=3) as session:
        assert_type(session, Session)
        with session.transaction():
            session.add(Tag(name="x"))
