"""Open a library in memory and let it work for a few weeks: python -m examples.library"""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

from blaze import AsyncSession, Engine, Session, ValidationError, create_all
from examples.library import async_service, service
from examples.library.journal import Journal
from examples.library.models import MODELS, JournalEntry, Member
from examples.library.rules import RefusedError

MONDAY = date(2024, 3, 4)


def first_day(engine: Engine) -> None:
    """Fill the shelves and lend the first books."""
    with Session(engine) as session:
        omens = service.catalogue(
            "9780060853983", "Good Omens", ["Terry Pratchett", "Neil Gaiman"], ["fantasy", "humour"]
        )
        service.catalogue("9780061020711", "Small Gods", ["Terry Pratchett"], ["fantasy"], copies=2)
        ada = Member(name="Ada", email=" Ada@Example.org ")
        bob = Member(name="Bob", email="bob@example.org")
        session.add_all([ada, bob])
        session.commit()

        service.lend(omens, ada, MONDAY)
        session.commit()
        print("Lent:", omens.title, "to", ada.email)

        try:
            service.lend(omens, bob, MONDAY)
        except RefusedError as error:
            print("Refused:", error)

        try:
            with session.transaction():
                service.catalogue("9780060853984", "A wrong number", [], [])
                session.flush()
        except ValidationError as error:
            print("Not valid:", error.errors)


async def a_month_later(engine: Engine) -> None:
    """Look after the overdue books, asynchronously."""
    today = MONDAY + timedelta(days=30)
    async with AsyncSession(engine) as session:
        for loan in await async_service.overdue(today):
            authors = " and ".join(sorted(author.name for author in loan.book.authors))
            print(f"Overdue: {loan.book.title} by {authors}, with {loan.member.name}, due {loan.due}")
            loan.returned = today
        await session.commit()
        print(
            "Found by 'pratchett':", ", ".join(book.title for book in await async_service.search("pratchett"))
        )
    await engine.adispose()


def main() -> None:
    """Run the story."""
    journal = Journal()
    with Engine("sqlite://") as engine:
        create_all(engine, MODELS)
        first_day(engine)
        with Session(engine):
            print("Journal:", [entry.text for entry in JournalEntry.objects.all()])
        asyncio.run(a_month_later(engine))
    print("Letters:", journal.letters)
    journal.close()


if __name__ == "__main__":
    main()
