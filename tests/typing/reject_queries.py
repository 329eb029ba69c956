"""Wrong queries and results: each marked line must be an error."""

from typing import Optional

from blaze import Select, Session, case, func
from tests.typing.accept_models import Author, Book


def arguments(session: Session) -> None:
    session.query("book")  # error
    session.query(5)  # error
    session.query()  # error
    session.query(Book.title, "x")  # error
    session.query(Book).where(True)  # error
    session.query(Book).where("id = 1")  # error
    session.query(Book).where(Book.title)  # error
    session.query(Book).where(Book.id)  # error
    session.query(Book).where(Book.price < "x")  # error
    session.query(Book).having(5)  # error
    session.query(Book).limit("5")  # error
    session.query(Book).order_by(5)  # error
    session.query(Book).lazy("sometimes")  # error
    session.query(Book).wher(Book.id == 1)  # error
    func.lower(5)  # error
    func.count("x")  # error


def results(session: Session) -> None:
    book: Book = session.query(Book).first()  # error
    authors: list[Author] = session.query(Book).all()  # error
    name: int = session.query(Author.name).one()[0]  # error
    one, two = session.query(Book.id, Book.title, Book.price).one()  # error
    session.query(Author.name, Book.id).one()[2]  # error
    print(session.query(Book).one().titel)  # error
    print(session.query(Book).first().title)  # error
    rows: list[Book] = session.query(Book.title).all()  # error
    print(book, authors, name, one, two, rows)


def sessions(session: Session) -> None:
    session.get("Book", 1)  # error
    session.get(5, 1)  # error
    print(session.get(Book, 1).title)  # error
    author: Author = session.get_one(Book, 1)  # error
    session.add(Book)  # error
    session.add("x")  # error
    session.add_all(Book)  # error
    session.exec(5)  # error
    session.exec(Book)  # error
    print(author)


def unbound(session: Session) -> None:
    books: list[Book] = Select(Book).all()  # error
    for book in Select(Book):  # error
        print(book)
    for book in Select(Book).all():  # error
        print(book)
    authors: list[Author] = session.exec(Select(Book)).all()  # error
    count: Optional[str] = session.parallel_exec((Select(Book).count(),))[0]  # error
    numbers = session.parallel_exec([Select(Book).count(), Select(Author).count()])
    print(numbers[0].upper())  # error
    both = session.parallel_exec((Select(Book), Select(Book).count()))
    print(both[0].title)  # error
    print(books, authors, count)


def left_joins(session: Session) -> None:
    for author, book in session.query(Author, Book).left_join(Author.books):
        print(author.name)
        print(book.title)  # error
    for name, title in session.query(Author.name, Book.title).left_join(Author.books):
        print(name.upper())
        print(title.upper())  # error
    text: str = session.query(case((Book.id == 1, "x"))).one()[0]  # error
    print(text)
    title_of: str = Select(Author.name, Book.title).left_join(Author.books).one().__result__()[1]  # error
    print(title_of)


def right_and_full_joins(session: Session) -> None:
    for author, book in session.query(Author, Book).right_join(Author.books):
        print(author.name)  # error
        print(book.title)  # error
    for name, title in session.query(Author.name, Book.title).full_join(Author.books):
        print(name.upper())  # error
        print(title.upper())  # error
    name_of: str = Select(Author.name, Book.title).full_join(Author.books).one().__result__()[0]  # error
    print(name_of)
    session.query(Author).right_join(Author.books)  # error
    Select(Author).full_join(Author.books)  # error


def options() -> None:
    Session("sqlite://", autocomit=True)  # error
    Session("sqlite://", lazy="sometimes")  # error
    Session()  # error
