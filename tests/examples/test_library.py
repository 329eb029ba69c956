"""The reference application: its rules, hooks and services, synchronous and asynchronous."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from blaze import AsyncSession, Engine, NoSessionError, Session, ValidationError, create_all
from examples.library import async_service, service
from examples.library.journal import Journal
from examples.library.models import MODELS, Author, Book, JournalEntry, Loan, Member
from examples.library.rules import MOST_LOANS, RefusedError

ROOT = Path(__file__).parents[2]
TODAY = date(2024, 3, 4)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with Engine(database_url) as engine:
        create_all(engine, MODELS)
        yield engine


@pytest.fixture
def journal() -> Iterator[Journal]:
    journal = Journal()
    yield journal
    journal.close()


def fill() -> tuple[Book, Member]:
    """Add two books and a member to the current session."""
    session = Session.current()
    assert session is not None
    omens = service.catalogue("9780060853983", "Good Omens", ["Terry Pratchett", "Neil Gaiman"], ["fantasy"])
    service.catalogue("9780061020711", "Small Gods", ["Terry Pratchett"], ["fantasy"], copies=2)
    member = Member(name="Ada", email=" Ada@Example.org ")
    session.add(member)
    session.commit()
    return omens, member


@pytest.mark.requirement("R102", "R51")
def test_authors_are_shared_by_books(engine: Engine) -> None:
    with Session(engine) as session:
        fill()
    with Session(engine) as session:
        pratchett = session.query(Author).where(Author.name == "Terry Pratchett").one()
        assert sorted(book.title for book in pratchett.books) == ["Good Omens", "Small Gods"]
        assert session.query(Author).count() == 2


@pytest.mark.requirement("R79")
def test_services_find_the_session_of_the_block(engine: Engine) -> None:
    with Session(engine):
        _, member = fill()
        assert service.find_member("ADA@example.ORG") is member
    with pytest.raises(NoSessionError):
        service.search("gods")
    with pytest.raises(NoSessionError):
        service.find_member("ada@example.org")


def test_search_gives_each_book_once_with_its_authors(engine: Engine) -> None:
    with Session(engine):
        fill()
    with Session(engine) as session:
        found = service.search("a")  # in both authors of one book, and in the subject
        assert [book.title for book in found] == ["Good Omens", "Small Gods"]
        before = session.query_stats().total
        assert [len(book.authors) for book in found] == [2, 1]
        assert session.query_stats().total == before


@pytest.mark.requirement("R28")
def test_a_model_method_is_a_hook(engine: Engine) -> None:
    with Session(engine):
        _, member = fill()
        assert member.email == "ada@example.org"


def test_a_copy_is_lent_once(engine: Engine) -> None:
    with Session(engine) as session:
        book, member = fill()
        loan = service.lend(book, member, TODAY)
        session.commit()
        with pytest.raises(RefusedError, match="no copy of Good Omens is free"):
            service.lend(book, member, TODAY)
        service.take_back(loan, TODAY + timedelta(days=2))
        session.commit()
        service.lend(book, member, TODAY + timedelta(days=3))
        session.commit()
        assert session.query(Loan).count() == 2


def test_a_member_has_at_most_three_books(engine: Engine) -> None:
    with Session(engine) as session:
        book, member = fill()
        book.copies = 9
        for _ in range(MOST_LOANS):
            service.lend(book, member, TODAY)
        with pytest.raises(RefusedError, match="Ada has 3 books already"):
            service.lend(book, member, TODAY)
        session.rollback()


@pytest.mark.parametrize(
    ("isbn", "message"), [("9780060853984", "has a wrong check digit"), ("12345", "must have 13 digits")]
)
def test_a_wrong_isbn_is_refused(engine: Engine, isbn: str, message: str) -> None:
    with Session(engine) as session:
        service.catalogue(isbn, "Nonsense", [], [])
        with pytest.raises(ValidationError) as caught:
            session.flush()
        assert caught.value.errors == {"isbn": [message]}
        session.rollback()
        assert session.query(Book).count() == 0


def test_a_loan_cannot_end_before_it_begins(engine: Engine) -> None:
    with Session(engine) as session:
        book, member = fill()
        loan = service.lend(book, member, TODAY)
        session.commit()
        service.take_back(loan, TODAY - timedelta(days=1))
        with pytest.raises(ValidationError) as caught:
            session.commit()
        assert list(caught.value.errors) == ["returned"]
        session.rollback()
        assert loan.returned is None


@pytest.mark.requirement("R28")
def test_the_journal_is_part_of_the_transaction(engine: Engine, journal: Journal) -> None:
    with Session(engine) as session:
        book, member = fill()
        service.lend(book, member, TODAY)
        session.flush()
        session.rollback()
        assert (journal.letters, journal.drafts) == ([], [])
        assert JournalEntry.objects.count() == 0

        service.lend(book, member, TODAY)
        session.commit()
        assert [entry.text for entry in JournalEntry.objects.all()] == ["Ada borrows Good Omens"]
        assert journal.letters == ["Dear Ada, please bring Good Omens by 2024-03-25."]


@pytest.mark.requirement("R57")
def test_overdue_loans_come_with_everything_in_few_statements(engine: Engine) -> None:
    with Session(engine) as session:
        book, member = fill()
        service.lend(book, member, TODAY)
        session.commit()
    with Session(engine) as session:
        assert service.overdue(TODAY) == []
        (loan,) = service.overdue(TODAY + timedelta(days=30))
        before = session.query_stats().total
        assert loan.member.name == "Ada"
        assert {author.name for author in loan.book.authors} == {"Terry Pratchett", "Neil Gaiman"}
        assert session.query_stats().total == before


@pytest.mark.requirement("R68", "R78")
async def test_the_async_twin_does_the_same(engine: Engine, journal: Journal) -> None:
    async with AsyncSession(engine) as session:
        book = await async_service.catalogue("9780060853983", "Good Omens", ["Terry Pratchett"], ["fantasy"])
        member = Member(name="Ada", email="Ada@example.org")
        session.add(member)
        await session.commit()
        await async_service.lend(book, member, TODAY)
        await session.commit()
        with pytest.raises(RefusedError):
            await async_service.lend(book, member, TODAY)
        assert await async_service.find_member("ada@EXAMPLE.org") is member
    assert journal.letters == ["Dear Ada, please bring Good Omens by 2024-03-25."]
    async with AsyncSession(engine) as session:
        (loan,) = await async_service.overdue(TODAY + timedelta(days=30))
        assert [author.name for author in loan.book.authors] == ["Terry Pratchett"]
        assert [book.title for book in await async_service.search("omen")] == ["Good Omens"]
    await engine.adispose()


@pytest.mark.requirement("R102")
def test_the_story_runs_as_a_program() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "examples.library"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "Lent: Good Omens to ada@example.org",
        "Refused: no copy of Good Omens is free",
        "Not valid: {'isbn': ['has a wrong check digit']}",
        "Journal: ['Ada borrows Good Omens']",
        "Overdue: Good Omens by Neil Gaiman and Terry Pratchett, with Ada, due 2024-03-25",
        "Found by 'pratchett': Good Omens, Small Gods",
        "Letters: ['Dear Ada, please bring Good Omens by 2024-03-25.']",
    ]
