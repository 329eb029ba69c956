"""The library's tables.

A book has authors and subjects, both many-to-many. A loan ties one book to one member for a time.
"""

from datetime import date, datetime, timedelta, timezone
from typing import Optional

from blaze import (
    Check,
    Field,
    ForeignKey,
    Index,
    ManyToMany,
    Model,
    OneToMany,
    ValidationError,
    field,
    foreign_key,
    key_column,
    many_to_many,
    one_to_many,
)

LOAN_PERIOD = timedelta(days=21)


def utc_now() -> datetime:
    """Return the present moment; a `datetime` without a time zone would be refused."""
    return datetime.now(timezone.utc)


def check_isbn(isbn: str) -> None:
    """Refuse a thirteen-digit book number whose last digit does not fit the others."""
    digits = [int(character) for character in isbn if character.isdigit()]
    if len(digits) != 13 or len(isbn) != 13:
        raise ValueError("must have 13 digits")
    if sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10:
        raise ValueError("has a wrong check digit")


class Recorded(Model):
    """An abstract base: a model derived from it remembers when a row was made."""

    created: Field[datetime] = field(default_factory=utc_now, init=False)

    class Meta:
        abstract = True


class Author(Recorded):
    """Somebody who writes."""

    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=120, index=True)
    books: ManyToMany["Book"] = many_to_many(related_name="authors")


class Subject(Recorded):
    """What books are about."""

    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=60, unique=True)
    books: ManyToMany["Book"] = many_to_many(related_name="subjects")


class Book(Recorded):
    """A title; the library owns `copies` of it."""

    id: Field[int] = field(primary_key=True)
    isbn: Field[str] = field(max_length=13, unique=True, validators=[check_isbn])
    title: Field[str] = field(max_length=200)
    year: Field[Optional[int]] = field(default=None)
    copies: Field[int] = field(default=1)
    authors: ManyToMany["Author"] = many_to_many(related_name="books")
    subjects: ManyToMany["Subject"] = many_to_many(related_name="books")
    loans: OneToMany["Loan"] = one_to_many()

    class Meta(Recorded.Meta):
        constraints = [Check("copies >= 0")]


class Member(Recorded):
    """Somebody who may borrow."""

    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=120)
    email: Field[str] = field(max_length=200, unique=True)
    loans: OneToMany["Loan"] = one_to_many()

    def before_save(self) -> None:
        """Write every address the same way; a method named after a hook is called as that hook."""
        self.email = self.email.strip().lower()


class Loan(Recorded):
    """One book in the hands of one member; `returned` is empty until it comes back."""

    id: Field[int] = field(primary_key=True)
    lent: Field[date]
    due: Field[date]
    returned: Field[Optional[date]] = field(default=None)
    book: ForeignKey[Book] = foreign_key(related_name="loans", on_delete="RESTRICT")
    book_id: Field[int] = key_column()
    member: ForeignKey[Member] = foreign_key(related_name="loans", on_delete="RESTRICT")
    member_id: Field[int] = key_column()

    class Meta(Recorded.Meta):
        indexes = [Index("due", "returned")]

    def validate(self) -> None:
        """Check a rule over several fields."""
        errors = {}
        if self.due < self.lent:
            errors["due"] = ["must not be before the day of lending"]
        if self.returned is not None and self.returned < self.lent:
            errors["returned"] = ["must not be before the day of lending"]
        if errors:
            raise ValidationError(errors)


class JournalEntry(Model):
    """A line of the library's journal, written by a hook; see journal.py."""

    id: Field[int] = field(primary_key=True)
    at: Field[datetime] = field(default_factory=utc_now)
    text: Field[str]


MODELS = [Author, Subject, Book, Member, Loan, JournalEntry]
