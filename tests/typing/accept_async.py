"""The asynchronous session: the same names, awaited."""

from decimal import Decimal
from typing import Optional

from typing_extensions import assert_type

from blaze import AsyncSession, Row, Select, func
from tests.typing.accept_models import Author, Book


async def queries(session: AsyncSession) -> None:
    query = session.query(Book).where(Book.price < 20).include(Book.author)
    assert_type(await query.all(), list[Book])
    assert_type(await query.first(), Optional[Book])
    assert_type(await query.one(), Book)
    assert_type(await query.one_or_none(), Optional[Book])
    assert_type(await query.count(), int)
    assert_type(await query.exists(), bool)
    assert_type(await query[0:5].all(), list[Book])
    assert_type(await query.update(price=Decimal(1)), int)
    assert_type(await query.delete(), int)
    async for book in query:
        assert_type(book, Book)
    async for book in query.stream():
        assert_type(book, Book)
    page = await query.order_by(Book.id).paginate(20)
    assert_type(page.items, list[Book])


async def rows(session: AsyncSession) -> None:
    pairs = await session.query(Author.name, func.count(Book.id)).group_by(Author.name).all()
    assert_type(pairs, list[Row[str, int]])
    for name, count in pairs:
        assert_type(name, str)
        assert_type(count, int)
    assert_type(await session.query(Book.title).scalars(), list[str])
    assert_type(await session.query(Book.title).scalar(), Optional[str])


async def lookups(session: AsyncSession, book: Book) -> None:
    assert_type(await session.get(Book, 1), Optional[Book])
    assert_type(await session.get_one(Book, 1), Book)
    assert_type(await session.get_or_create(Author, name="x"), tuple[Author, bool])


async def unit_of_work(session: AsyncSession, book: Book) -> None:
    session.add(book)
    await session.add(book)
    session.delete(book)
    await session.delete(book)
    await session.load(book, Book.author, Book.tags)
    await session.refresh(book)
    await session.flush()
    await session.commit()


async def statements(session: AsyncSession) -> None:
    statement = Select(Book).where(Book.id > 1)
    results = await session.exec(statement)
    assert_type(await results.all(), list[Book])
    assert_type(await session.exec(statement).all(), list[Book])
    assert_type(await session.exec(statement).first(), Optional[Book])
    assert_type(await session.exec_one(statement), Optional[Book])
    assert_type(await session.exec_scalar(Select(Book.title)), Optional[str])
    await session.exec("SELECT 1").all()
    await session.exec_scalar("SELECT 1")
    async for book in session.exec(statement):
        assert_type(book, Book)


async def plans(session: AsyncSession) -> None:
    authors, count = await session.parallel_exec((Select(Author).all(), Select(Book).count()))
    assert_type(authors, list[Author])
    assert_type(count, int)
    users, orders = await session.parallel_exec([Select(Author).all(), Select(Book).all()])
    print(len(users), len(orders))
    counts = await session.parallel_exec([Select(Author).count(), Select(Book).count()])
    assert_type(counts, list[int])
    books, number = await session.parallel_exec((Select(Book), count_books))
    assert_type(books, list[Book])
    assert_type(number, int)


async def count_books(session: AsyncSession) -> int:
    return await session.query(Book).count()


async def left_joins(session: AsyncSession) -> None:
    pairs = await session.query(Author.name, Book).left_join(Author.books).all()
    assert_type(pairs, list[Row[str, Optional[Book]]])
    rows = await session.query(Author.name, Book).right_join(Author.books).all()
    assert_type(rows, list[Row[Optional[str], Optional[Book]]])
    full = await session.query(Author.name, Book).full_join(Author.books).first()
    assert_type(full, Optional[Row[Optional[str], Optional[Book]]])


async def blocks() -> None:
    async with AsyncSession("sqlite://") as session:
        assert_type(session, AsyncSession)
        async with session.transaction():
            session.add(Author(name="x"))
