"""Includes of a query that takes a whole table: its children need not be asked for by their keys."""

from __future__ import annotations

from typing import Any

from blaze import Engine, Session
from tests.persistence.models import Author, Book, Chapter, Tag


class Watch:
    """Notes the statements of a session; runs something once before the first one with a text."""

    def __init__(self, text: str = "", work: Any = None) -> None:
        self.text, self.work = text, work
        self.statements: list[str] = []

    def before_execute(self, statement: str) -> None:
        self.statements.append(statement)
        if self.work is not None and self.text in statement:
            work, self.work = self.work, None
            work()


def fill(engine: Engine) -> None:
    with Session(engine) as session:
        tags = [Tag(name="t"), Tag(name="u")]
        for name in ("a", "b"):
            books = [Book(title=f"{name}{n}", tags=tags, chapters=[Chapter(heading="h")]) for n in range(2)]
            session.add(Author(name=name, books=books))
        session.commit()


def test_children_of_a_whole_table_are_read_without_a_list_of_keys(engine: Engine) -> None:
    fill(engine)
    watch = Watch()
    with Session(engine, hooks=[watch]) as session:
        books = session.query(Book).order_by(Book.title).include(Book.chapters, Book.tags).all()
        assert [[chapter.heading for chapter in book.chapters] for book in books] == [["h"]] * 4
        assert [[tag.name for tag in book.tags] for book in books] == [["t", "u"]] * 4
        assert len(watch.statements) == 3
        assert not any("WHERE" in statement for statement in watch.statements)


def test_a_part_of_a_table_and_a_key_that_may_be_empty_name_their_keys(engine: Engine) -> None:
    fill(engine)
    watch = Watch()
    with Session(engine, hooks=[watch]) as session:
        session.query(Author).include(Author.books.chapters).all()
        session.query(Book).limit(1).include(Book.tags).all()
        session.query(Book).where(Book.rating >= 0).include(Book.chapters).all()
        asked = [statement for statement in watch.statements[1:] if " IN (" in statement]
        assert len(asked) == 3  # books, chapters, tags; the last query found everything loaded


def test_who_knows_some_children_asks_for_the_others_only(engine: Engine) -> None:
    fill(engine)
    watch = Watch()
    with Session(engine, hooks=[watch]) as session:
        known = session.query(Book).where(Book.title == "a0").include(Book.chapters).one()
        books = session.query(Book).include(Book.chapters).all()
        assert known in books
        assert " IN (" in watch.statements[-1]


def test_rows_that_come_between_the_statements_belong_to_nobody_yet(engine: Engine) -> None:
    fill(engine)

    def write() -> None:
        with Session(engine) as other:
            other.add(Book(title="late", tags=[other.get_one(Tag, 1)], chapters=[Chapter(heading="late")]))
            other.commit()

    with Session(engine, hooks=[Watch('FROM "chapter"', write)]) as session:
        books = session.query(Book).include(Book.chapters, Book.tags).all()
        assert sum(len(book.chapters) for book in books) == 4
        late = session.query(Chapter).where(Chapter.heading == "late").one()
        assert late.book.title == "late"
        assert len(late.book.tags) == 1
