"""What the library does, synchronously.

No function takes a session: the caller opens one with `with Session(engine) as session:`, and
`SessionManager.require_current()` finds it. Committing is the caller's business, too.
"""

from __future__ import annotations

from datetime import date
from typing import Optional

from blaze import SessionManager
from examples.library import rules
from examples.library.models import Author, Book, Loan, Member, Subject


def catalogue(isbn: str, title: str, authors: list[str], subjects: list[str], *, copies: int = 1) -> Book:
    """Add a book; authors and subjects are found by name or made."""
    session = SessionManager.require_current()
    book = Book(isbn=isbn, title=title, copies=copies)
    session.add(book)
    for name in authors:
        author, _ = session.get_or_create(Author, name=name)
        book.authors.add(author)
    for name in subjects:
        subject, _ = session.get_or_create(Subject, name=name)
        book.subjects.add(subject)
    return book


def lend(book: Book, member: Member, today: date) -> Loan:
    """Lend a book; raise `RefusedError` when no copy is free or the member has enough."""
    session = SessionManager.require_current()
    lent = session.exec_scalar(rules.lent_copies(book)) or 0
    borrowed = session.exec_scalar(rules.borrowed_by(member)) or 0
    loan = rules.new_loan(book, member, today, lent=lent, borrowed=borrowed)
    session.add(loan)
    return loan


def take_back(loan: Loan, today: date) -> None:
    """Note that a book is back: a changed attribute of a loaded object is saved by the next commit."""
    loan.returned = today


def overdue(today: date) -> list[Loan]:
    """Return the loans that should be back."""
    return SessionManager.require_current().exec(rules.overdue_loans(today)).all()


def search(text: str) -> list[Book]:
    """Return books by a word in title, author or subject."""
    return SessionManager.require_current().exec(rules.books_about(text)).all()


def find_member(email: str) -> Optional[Member]:
    """Return a member by address; `Member.objects` finds the current session by itself."""
    return Member.objects.filter(email__iexact=email).one_or_none()
