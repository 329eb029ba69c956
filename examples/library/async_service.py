"""The async twin of service.py: the same rules and queries, awaited."""

from __future__ import annotations

from datetime import date
from typing import Optional

from blaze import SessionManager
from examples.library import rules
from examples.library.models import Author, Book, Loan, Member, Subject


async def catalogue(
    isbn: str, title: str, authors: list[str], subjects: list[str], *, copies: int = 1
) -> Book:
    """Add a book; authors and subjects are found by name or made."""
    session = SessionManager.require_current_async()
    book = Book(isbn=isbn, title=title, copies=copies)
    session.add(book)
    for name in authors:
        author, _ = await session.get_or_create(Author, name=name)
        book.authors.add(author)
    for name in subjects:
        subject, _ = await session.get_or_create(Subject, name=name)
        book.subjects.add(subject)
    return book


async def lend(book: Book, member: Member, today: date) -> Loan:
    """Lend a book; raise `RefusedError` when no copy is free or the member has enough."""
    session = SessionManager.require_current_async()
    lent = await session.exec_scalar(rules.lent_copies(book)) or 0
    borrowed = await session.exec_scalar(rules.borrowed_by(member)) or 0
    loan = rules.new_loan(book, member, today, lent=lent, borrowed=borrowed)
    session.add(loan)
    return loan


async def overdue(today: date) -> list[Loan]:
    """Return the loans that should be back."""
    return await SessionManager.require_current_async().exec(rules.overdue_loans(today)).all()


async def search(text: str) -> list[Book]:
    """Return books by a word in title, author or subject."""
    return await SessionManager.require_current_async().exec(rules.books_about(text)).all()


async def find_member(email: str) -> Optional[Member]:
    """Return a member by address."""
    return (
        await SessionManager.require_current_async().query(Member).filter(email__iexact=email).one_or_none()
    )
