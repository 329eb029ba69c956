"""A relation or column of another model is refused where one of the object's or query's own is asked for."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from blaze import QueryError
from tests.badinput.models import Label, Work, Writer
from tests.types.harness import Opener, m

Play = Callable[..., Any]

STRANGERS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "load to-many": (lambda s, o: s.load(o, Work.labels), r"Work\.labels.*of Writer"),
    "load to-one": (lambda s, o: s.load(o, Work.writer), r"Work\.writer.*of Writer"),
    "load column": (lambda s, o: s.load(o, Label.name), r"Label\.name is a column of Label, not of Writer"),
    "load one of many": (lambda s, o: s.load([o, Work(title="x")], Writer.works), "Work beside a Writer"),
    "load no object": (lambda s, o: s.load([o, 5], Writer.works), "int beside a Writer"),
    "refresh column": (lambda s, o: s.refresh(o, Label.name), "column of Label, not of Writer"),
    "refresh relation": (lambda s, o: s.refresh(o, Work.writer), r"Work\.writer.*of Writer"),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_an_object_takes_its_own_only(play: Play, case: str) -> None:
    ask, words = STRANGERS[case]

    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            writer = await m(session.get_one(Writer, 1))
            before = session.query_stats().total
            with pytest.raises(QueryError, match=words):
                await m(ask(session, writer))
            assert session.query_stats().total == before
            await m(session.load(writer, Writer.works, Writer.works.labels))
            await m(session.refresh(writer, Writer.name))
            assert writer.name == "Jane"

    play(scenario)


@pytest.mark.parametrize("method", ["only", "defer"])
def test_a_query_takes_its_own_columns_only(play: Play, method: str) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            ask = getattr(session.query(Writer), method)
            with pytest.raises(QueryError, match=r"Label\.name is a column of Label, not of Writer"):
                ask(Label.name)
            assert (await m(ask(Writer.name).one())).id == 1

    play(scenario)
