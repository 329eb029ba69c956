"""A forgotten await and wrong asynchronous results: each marked line must be an error."""

from blaze import AsyncSession, Select
from tests.typing.accept_models import Author, Book


async def forgotten(session: AsyncSession) -> None:
    books: list[Book] = session.query(Book).all()  # error
    book: Book = session.get_one(Book, 1)  # error
    for each in session.query(Book):  # error
        print(each)
    for each in session.query(Book).all():  # error
        print(each)
    session.query(Book).count() + 1  # error
    session.exec(Select(Book)).all()[0]  # error
    session.commit()  # error
    with session:  # error
        print(books, book)


async def results(session: AsyncSession) -> None:
    print((await session.get(Book, 1)).title)  # error
    authors: list[Author] = await session.query(Book).all()  # error
    results: list[Author] = await session.exec(Select(Book)).all()  # error
    await session.add(5)  # error
    await session.query(Book).where(Book.id == "x").all()  # error
    print(authors, results)
