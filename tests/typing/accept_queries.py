"""Queries: every building method keeps the type of the result."""

from decimal import Decimal
from typing import Any, Optional

from typing_extensions import assert_type

from blaze import CTE, Delete, Insert, Q, Row, Select, Session, Update, case, func
from blaze.query.terminal import Plan
from tests.typing.accept_models import Author, Book, Everything


def building(session: Session, author: Author) -> None:
    books = (
        session.query(Book)
        .where(Book.price < 20, Book.author.name.startswith("Ursula"))
        .where(Book.author == author)
        .where(~(Book.editor == author) | Book.editor.is_(None))
        .include(Book.author, Book.tags)
        .order_by(Book.price.desc(), Book.title)
        .limit(20)
        .offset(5)
        .distinct()
        .all()
    )
    assert_type(books, list[Book])
    assert_type(session.query(Everything).where(Everything.flag).all(), list[Everything])
    assert_type(session.query(Book).filter(Q(title="x") | Q(price__gt=5), id__in=[1]).all(), list[Book])
    assert_type(session.query(Book).exclude(title__isnull=True).all(), list[Book])
    assert_type(session.query(Book).select_related(Book.author).all(), list[Book])
    assert_type(session.query(Author).prefetch_related("books__tags", Author.books).all(), list[Author])
    assert_type(session.query(Book).only(Book.title).defer(Book.meta).all(), list[Book])
    assert_type(session.query(Book).for_update(skip_locked=True).all(), list[Book])
    assert_type(session.query(Book).for_update(of=Book).all(), list[Book])
    assert_type(session.query(Book).for_share(of=[Book, Book.author]).all(), list[Book])
    assert_type(session.query(Book).lazy("raise").all(), list[Book])


def grouping(session: Session) -> None:
    rows = (
        session.query(Author.name, func.count(Book.id).label("n"))
        .join(Author.books)
        .group_by(Author.name)
        .having(func.count(Book.id) > 3)
        .all()
    )
    assert_type(rows, list[Row[str, int]])
    session.query(Author).left_join(Author.books).order_by(Author.name.asc()).all()


def unbound(session: Session) -> None:
    statement = Select(Book).where(Book.author_id == 1)
    assert_type(statement, Select[Book])
    assert_type(Select(Author.name, Book.id), Select[Row[str, int]])
    assert_type(session.exec(statement).all(), list[Book])
    assert_type(session.exec(statement).first(), Optional[Book])
    assert_type(session.exec(statement).one(), Book)
    assert_type(session.exec_one(statement), Optional[Book])
    assert_type(session.exec(Select(Book.title, Book.price)).all(), list[Row[str, Decimal]])
    assert_type(session.exec_scalar(Select(Book.title)), Optional[str])
    assert_type([book.title for book in session.exec(statement)], list[str])
    session.exec("SELECT 1").all()
    session.exec_scalar("SELECT count(*) FROM book")
    session.query(Book).where(Book.id.in_(Select(Book.id))).all()


def plans(session: Session) -> None:
    pair = session.parallel_exec((Select(Author).all(), Select(Book).count()))
    assert_type(pair, tuple[list[Author], int])
    one = session.parallel_exec((Select(Book).first(),))
    assert_type(one, tuple[Optional[Book]])
    titles, found, newest = session.parallel_exec(
        (Select(Book.title).scalars(), Select(Book).exists(), Select(Book).one())
    )
    assert_type(titles, list[str])
    assert_type(found, bool)
    assert_type(newest, Book)
    authors, books = session.parallel_exec([Select(Author).all(), Select(Book).all()])
    print(authors[0].name, books[0].title)
    pages = session.parallel_exec([Select(Book).where(Book.id == number).all() for number in range(3)])
    assert_type(pages, list[list[Book]])
    mixed = session.parallel_exec(
        (
            Select(Book),
            Select(Author.name, Book.id),
            lambda: 1.5,
            count_books,
            Insert(Author).values(name="x").returning(Author.id),
        )
    )
    assert_type(mixed[0], list[Book])
    assert_type(mixed[1], list[Row[str, int]])
    assert_type(mixed[2], float)
    assert_type(mixed[3], int)
    assert_type(mixed[4], list[Row[int]])


def count_books(session: Session) -> int:
    return session.query(Book).count()


def left_joins(session: Session) -> None:
    assert_type(session.query(Author).left_join(Author.books).all(), list[Author])
    assert_type(session.query(Author.name).left_join(Author.books).all(), list[Row[str]])
    pairs = session.query(Author, Book).left_join(Author.books).order_by(Author.id).all()
    assert_type(pairs, list[Row[Author, Optional[Book]]])
    first = session.query(Author.name, Book.title, Book.price).left_join(Author.books).first()
    assert_type(first, Optional[Row[str, Optional[str], Optional[Decimal]]])
    counts = session.query(Author.name, func.count(Author.books.id)).all()
    assert_type(counts, list[Row[str, int]])
    plan = Select(Author.name, Book.title).left_join(Book, on=Book.author_id == Author.id).all()
    assert_type(plan, Plan[list[Row[str, Optional[str]]]])
    inner = session.query(Author.name, Book.title).join(Author.books).one()
    assert_type(inner, Row[str, str])
    eight = session.query(Author.id, Book.id, Book.id, Book.id, Book.id, Book.id, Book.title, Book).left_join(
        Author.books
    )
    assert_type(eight.one()[6], Optional[str])
    assert_type(eight.one()[7], Optional[Book])
    more = session.query(
        Author.id, Book.id, Book.id, Book.id, Book.id, Book.id, Book.title, Book.id, Book
    ).left_join(Author.books)
    assert_type(more.one()[8], Any)


def right_and_full_joins(session: Session) -> None:
    pairs = session.query(Author, Book).right_join(Author.books).order_by(Author.id).all()
    assert_type(pairs, list[Row[Optional[Author], Optional[Book]]])
    assert_type(
        session.query(Author, Book).full_join(Author.books).all(), list[Row[Optional[Author], Optional[Book]]]
    )
    assert_type(session.query(Author.name).right_join(Author.books).scalars(), list[Optional[str]])
    first = session.query(Author.name, Book.title, Book.price).full_join(Author.books).first()
    assert_type(first, Optional[Row[Optional[str], Optional[str], Optional[Decimal]]])
    plan = Select(Author.name, Book.title).full_join(Book, on=Book.author_id == Author.id).all()
    assert_type(plan, Plan[list[Row[Optional[str], Optional[str]]]])
    eight = session.query(
        Author.id, Book.id, Book.id, Book.id, Book.id, Book.id, Book.title, Book
    ).right_join(Author.books)
    assert_type(eight.one()[0], Optional[int])
    assert_type(eight.one()[7], Optional[Book])
    more = session.query(
        Author.id, Book.id, Book.id, Book.id, Book.id, Book.id, Book.title, Book.id, Book
    ).full_join(Author.books)
    assert_type(more.one()[8], Any)
    session.query(Author.name, Book.title).left_join(Author.books).right_join(Book.author).where(
        Author.id > 1
    )


def writing(session: Session) -> None:
    session.exec(Insert(Author).values(name="x"))
    session.exec(Insert(Author).values([{"name": "x"}, {"name": "y"}]))
    session.exec(Update(Book).set(price=Decimal(1)).where(Book.id == 1))
    session.exec(Delete(Book).all_rows())
    assert_type(session.exec(Insert(Author).values(name="x").returning(Author)).one(), Author)
    changed = session.exec(Update(Book).set(price=Decimal(1)).all_rows().returning(Book.id, Book.title))
    assert_type(changed.all(), list[Row[int, str]])
    assert_type(session.exec_scalar(Delete(Book).all_rows().returning(Book.title)), Optional[str])
    assert_type(session.query(Book).where(Book.id == 1).update(price=Decimal(1)), int)
    assert_type(session.query(Book).where(Book.id == 1).delete(), int)


def subqueries(session: Session) -> None:
    totals = Select(Book.author_id, func.sum(Book.price).label("n")).group_by(Book.author_id).alias("totals")
    joined = session.query(Author.name, totals.c.n).join(totals, on=totals.c.author_id == Author.id)
    assert_type(joined.all(), list[Row[str, Any]])
    session.query(Author.name, totals.c.n).left_join(totals, on=totals.c.author_id == Author.id).all()
    dear = CTE("dear", Select(Book.author_id).where(Book.price > 20))
    session.query(Author).with_cte(dear).join(dear, on=dear.c.author_id == Author.id).all()


def cases(session: Session) -> None:
    dear = Book.price > 20
    assert_type(session.query(case((dear, "dear"))).one(), Row[Optional[str]])
    assert_type(session.query(case((dear, "dear"), else_="cheap")).one(), Row[str])
    assert_type(session.query(case((dear, Book.title), else_="cheap")).one(), Row[str])
    assert_type(session.query(case((dear, Author.email), else_=Author.name)).one(), Row[Optional[str]])
    assert_type(session.query(case((dear, 1), (Book.id == 1, 2), else_=None)).scalars(), list[Optional[int]])
