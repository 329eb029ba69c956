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
@pytest.mark.parametrize("prepare", [chain, circle, members_of_a_list, links, unlinks, replaced])
def test_four_times_the_objects_take_about_four_times_the_calls(
    prepare: Callable[[Session, int], None],
) -> None:
    calls_of_a_flush(prepare, 5)  # what is made once
    few, many = calls_of_a_flush(prepare, 100), calls_of_a_flush(prepare, 400)
    assert many < 6 * few


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
