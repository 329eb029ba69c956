"""Plans are tested without a database: they are generators of commands."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import Field, Model, Session, StaleDataError, field
from blaze.persistence import objects
from blaze.plan import Begin, Commit, Execute, ExecuteMany, Plan, Rollback


class Leaf(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]


def commands(plan: Plan[Any], answers: list[Any]) -> list[Any]:
    """Drive a plan with ready answers; return the commands it gave."""
    given = []
    waiting = iter(answers)
    try:
        command = plan.send(None)
        while True:
            given.append(command)
            answer = next(waiting)
            command = plan.throw(answer) if isinstance(answer, BaseException) else plan.send(answer)
    except StopIteration:
        return given


def test_a_get_is_one_statement_and_none_when_the_object_is_known() -> None:
    session = Session("sqlite://")
    leaf = Leaf(id=1, name="a")
    (command,) = commands(objects.get_plan(session, Leaf, 1, {}), [[leaf]])
    assert isinstance(command, Execute)
    assert command.sql.endswith('WHERE "leaf"."id" = ?')
    assert command.params == (1,)
    assert not command.writes
    session.identity[Leaf][1] = leaf
    assert commands(objects.get_plan(session, Leaf, 1, {}), []) == []


@pytest.mark.requirement("R21")
def test_a_commit_begins_writes_one_batch_and_commits() -> None:
    session = Session("sqlite://")
    for number in range(3):
        session.register(Leaf(name=str(number)))
    found = commands(session.transactions.commit(), [None, [(3,), (1,), (2,)], None])
    assert [type(command) for command in found] == [Begin, Execute, Commit]
    assert found[1].params == ["0", "1", "2"]
    assert [leaf.id for leaf in session.identity[Leaf].values()] == [1, 2, 3]


def test_a_failed_batch_ends_the_transaction_it_began_and_keeps_the_objects_new() -> None:
    session = Session("sqlite://")
    leaf = Leaf(name="a")
    session.register(leaf)
    plan = session.flush_plan()
    assert isinstance(plan.send(None), Begin)
    assert isinstance(plan.send(None), Execute)
    assert isinstance(plan.throw(RuntimeError("no")), Rollback)
    with pytest.raises(RuntimeError, match="no"):
        plan.send(None)
    assert session.new == [leaf]
    assert leaf.id is None
    assert not session.in_transaction


def test_an_update_that_meets_fewer_rows_is_stale() -> None:
    session = Session("sqlite://")
    codec = session.compilation.codecs[Leaf.__mapper__]
    (leaf,) = codec.load([(1, "a")], session.identity, session, "batch")
    leaf.name = "b"
    plan = session.flush_plan()
    assert isinstance(plan.send(None), Begin)
    command = plan.send(None)
    assert isinstance(command, ExecuteMany)
    assert command.params == [("b", 1)]
    assert isinstance(plan.send(0), Rollback)
    with pytest.raises(StaleDataError, match="Leaf"):
        plan.send(None)
    assert session.dirty == [leaf]
    assert leaf.name == "b"
