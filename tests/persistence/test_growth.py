"""The work of a flush grows with what it writes, not with its square."""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional

import pytest

from blaze import Engine, Field, ForeignKey, Model, Session, create_all, field, foreign_key
from tests.persistence.models import Author, Award, Book, Chapter, Course, Enrolment, Node, Student, Tag
from tests.persistence.twins import Database


class Shelf(Model):
    id: Field[int] = field(primary_key=True)


class Label(Model):
    id: Field[int] = field(primary_key=True)
    text: Field[str] = field(unique=True)
    shelf: ForeignKey[Optional[Shelf]] = foreign_key(related_name="labels")


def chain(session: Session, size: int) -> None:
    """New objects, each of which refers to the one before."""
    node = Node(name="root", parent=None)
    for number in range(size):
        node = Node(name=str(number), parent=node)
    session.add(node)


def circle(session: Session, size: int) -> None:
    nodes = [Node(name=str(number), parent=None) for number in range(size)]
    for number, node in enumerate(nodes):
        node.parent = nodes[number - 1]
    session.add_all(nodes)


def members_of_a_list(session: Session, size: int) -> None:
    """Delete what a loaded list shows, one by one."""
    author = Author(name="a")
    session.add_all([Book(title=str(number), author=author, editor=None) for number in range(size)])
    session.commit()
    for book in list(author.books):
        session.delete(book)


def links(session: Session, size: int) -> None:
    """New rows of a `through` model, shown in a loaded list."""
    student = Student(name="s")
    session.add(student)
    session.commit()
    assert list(student.courses) == []
    session.add_all([Enrolment(student=student, course=Course(name="c")) for _ in range(size)])


def unlinks(session: Session, size: int) -> None:
    links(session, size)
    session.commit()
    for row in session.query(Enrolment).all():
        session.delete(row)


def replaced(session: Session, size: int) -> None:
    """New objects that take over the unique values of deleted ones."""
    session.add_all([Label(text=str(number), shelf=None) for number in range(size)])
    session.commit()
    for label in session.query(Label).all():
        session.delete(label)
    session.add_all([Label(text=str(number), shelf=None) for number in range(size)])


def rotation(session: Session, size: int) -> None:
    """One circle of unique values."""
    labels = [Label(text=str(number), shelf=None) for number in range(size)]
    session.add_all(labels)
    session.commit()
    for number, label in enumerate(labels):
        label.text = str((number + 1) % size)


def swaps(session: Session, size: int) -> None:
    """Many circles of two, and a new object for every third."""
    labels = [Label(text=str(number), shelf=None) for number in range(2 * size)]
    session.add_all(labels)
    session.commit()
    for number, label in enumerate(labels):
        label.text = str(number ^ 1)
    for number, label in enumerate(labels[::3]):
        session.add(Label(text=label.text, shelf=None))
        label.text = f"free {number}"


def calls_of_a_flush(prepare: Callable[[Session, int], None], size: int) -> int:
    """Count the calls of Python and C functions in one flush."""
    models = [Author, Award, Book, Chapter, Tag, Node, Student, Course, Enrolment, Shelf, Label]
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    with Engine("sqlite://") as engine:
        create_all(engine, models)
        with Session(engine) as session:
            prepare(session, size)
            before = sys.getprofile()
            sys.setprofile(count)
            try:
                session.flush()
            finally:
                sys.setprofile(before)
            session.commit()
    return calls


@pytest.mark.requirement("R20")
@pytest.mark.parametrize(
    "prepare", [chain, circle, members_of_a_list, links, unlinks, replaced, rotation, swaps]
)
def test_four_times_the_objects_take_about_four_times_the_calls(
    prepare: Callable[[Session, int], None],
) -> None:
    calls_of_a_flush(prepare, 5)  # what is made once
    few, many = calls_of_a_flush(prepare, 100), calls_of_a_flush(prepare, 400)
    assert many < 6 * few


def lines_of_emptying_a_list(size: int) -> int:
    """Count the lines and rounds of loops while the members of a loaded list leave it one by one."""
    lines = 0

    def count(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    with Engine("sqlite://") as engine:
        create_all(engine, [Author, Award, Book, Tag])
        with Session(engine) as session:
            book, author = Book(title="b"), Author(name="a")
            session.add_all([book, author])
            tags = [Tag(name=str(number)) for number in range(size)]
            books = [Book(title=str(number)) for number in range(size)]
            book.tags.add(*tags)
            author.books.add(*books)
            session.commit()
            assert len(book.tags) == len(author.books) == size
            before = sys.gettrace()
            sys.settrace(count)
            try:
                for tag, other in zip(tags, books):
                    book.tags.remove(tag)
                    author.books.remove(other)
            finally:
                sys.settrace(before)
            assert list(book.tags) == list(author.books) == []
            session.commit()
            assert session.exec_scalar("SELECT count(*) FROM book_tags") == 0
    return lines


@pytest.mark.requirement("R52")
def test_members_that_leave_a_list_one_by_one_cost_one_pass() -> None:
    lines_of_emptying_a_list(5)
    few, many = lines_of_emptying_a_list(50), lines_of_emptying_a_list(200)
    assert many < 5 * few


@pytest.mark.requirement("R20")
async def test_objects_of_nothing_but_defaults_are_saved_together(db: Database) -> None:
    create_all(db.engine, [Shelf])
    async with db.session() as s:
        shelves = [Shelf() for _ in range(3)]
        await s.add_all(shelves)
        await s.commit()
        assert [shelf.id for shelf in shelves] == [1, 2, 3]
        more = [Shelf() for _ in range(3)]
        await s.bulk_insert(more, return_keys=True)
        assert [shelf.id for shelf in more] == [4, 5, 6]
        await s.bulk_insert([Shelf(), Shelf()])
        assert await s.scalar("SELECT count(*) FROM shelf") == 8
        await s.rollback()
