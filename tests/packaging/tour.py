"""A program for the installed wheels: models, tables, writing, reading and changing, over one DSN."""

from __future__ import annotations

from decimal import Decimal
from typing import Optional

import blaze
from blaze import Field, ForeignKey, Model, OneToMany, Session, field, foreign_key, one_to_many

assert "site-packages" in blaze.__file__


class Author(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=120, index=True)
    email: Field[Optional[str]] = field(unique=True, default=None)
    books: OneToMany[Book] = one_to_many()


class Book(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str] = field(max_length=200)
    price: Field[Decimal] = field(precision=10, scale=2)
    author: ForeignKey[Author] = foreign_key(related_name="books", on_delete="CASCADE")


with Session("sqlite:///x.db") as session:
    session.create_all(Author, Book)
    author = Author(name="Ursula Le Guin")
    session.add(author)
    session.add(Book(title="The Dispossessed", price=Decimal("9.99"), author=author))
    session.add(Book(title="The Word for World is Forest", price=Decimal("24.50"), author=author))
    session.commit()
    author.name = "Ursula K. Le Guin"
    session.commit()

with Session("sqlite:///x.db") as session:
    print(session.query(Book).count())
    cheap = (
        session.query(Book)
        .where(Book.price < 20, Book.author.name.startswith("Ursula"))
        .include(Book.author)
        .all()
    )
    for book in cheap:
        print(book.title, book.author.name)
