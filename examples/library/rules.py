"""What the sync and the async services share: the rules and the queries, which are plain values."""

from __future__ import annotations

from datetime import date
from typing import Any

from blaze import Q, Select, func
from examples.library.models import LOAN_PERIOD, Book, Loan, Member

MOST_LOANS = 3


class RefusedError(Exception):
    """The library's rules do not allow it."""


def lent_copies(book: Book) -> Select[Any]:
    """Count the copies of a book that are not back yet."""
    return Select(func.count(Loan.id)).where(Loan.book_id == book.id, Loan.returned.is_(None))


def borrowed_by(member: Member) -> Select[Any]:
    """Count what a member has at home."""
    return Select(func.count(Loan.id)).where(Loan.member_id == member.id, Loan.returned.is_(None))


def overdue_loans(today: date) -> Select[Loan]:
    """Select the loans that should be back, longest overdue first, with book, authors and member."""
    return (
        Select(Loan)
        .where(Loan.due < today, Loan.returned.is_(None))
        .include(Loan.book, Loan.member)
        .prefetch_related("book__authors")
        .order_by(Loan.due, Loan.id)
    )


def books_about(text: str) -> Select[Book]:
    """Select books by a word in title, author or subject; no book comes twice."""
    found = Q(title__icontains=text) | Q(authors__name__icontains=text) | Q(subjects__name__icontains=text)
    return Select(Book).filter(found).include(Book.authors, Book.subjects).order_by(Book.title)


def new_loan(book: Book, member: Member, today: date, *, lent: int, borrowed: int) -> Loan:
    """Make a loan, or raise `RefusedError` saying which rule forbids it."""
    if lent >= book.copies:
        raise RefusedError(f"no copy of {book.title} is free")
    if borrowed >= MOST_LOANS:
        raise RefusedError(f"{member.name} has {MOST_LOANS} books already")
    return Loan(book=book, member=member, lent=today, due=today + LOAN_PERIOD)
