"""Objects of two sessions, closed sessions and engines, and passwords that never show."""

from __future__ import annotations

import logging
import pickle
import traceback
from pathlib import Path
from typing import Any, Callable

import pytest

from blaze import (
    BlazeError,
    ConfigurationError,
    ConnectionConfig,
    Engine,
    Session,
    SessionError,
    StaleDataError,
    Update,
)
from tests.badinput.models import Label, Work, Writer
from tests.types.harness import Opener, m

Play = Callable[..., Any]


def test_an_object_of_another_session_is_refused_and_stays_there(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as first, open_session() as second:
            work = await m(first.query(Work).one())
            new = Label(name="new")
            await m(first.add(new))
            for attempt, held in ((second.add, work), (second.delete, work), (second.add, new)):
                with pytest.raises(SessionError, match=r"another session.*merge\(\)"):
                    await m(attempt(held))
            with pytest.raises(SessionError, match="never saved"):
                await m(second.delete(new))
            assert new in first.new
            with pytest.raises(SessionError, match=r"does not belong to the session"):
                await m(second.refresh(work))
            assert second.new == []
            copy = await m(second.merge(work))
            assert copy is not work
            work.title = "Persuasion"
            await m(first.commit())
        async with open_session() as third:
            work.title = "Emma"  # its session is closed: another one may take it
            await m(third.add(work))
            await m(third.commit())
            assert await m(third.query(Work.title).scalars()) == ["Emma"]

    play(scenario)


def test_two_sessions_changing_one_row_meet_in_the_database(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as first, open_session() as second:
            one = await m(first.query(Label).first())
            assert one is None
            await m(first.add(Label(name="x")))
            await m(first.commit())
            mine, theirs = await m(first.query(Label).one()), await m(second.query(Label).one())
            await m(first.delete(mine))
            await m(first.commit())
            theirs.name = "y"
            with pytest.raises(StaleDataError, match="Label"):
                await m(second.commit())
            await m(second.rollback())
            assert await m(second.query(Label).count()) == 0

    play(scenario)


USES: dict[str, Callable[[Any], Any]] = {
    "add": lambda s: s.add(Label(name="x")),
    "add_all": lambda s: s.add_all([Label(name="x")]),
    "delete": lambda s: s.delete(Label(name="x")),
    "flush": lambda s: s.flush(),
    "commit": lambda s: s.commit(),
    "rollback": lambda s: s.rollback(),
    "get": lambda s: s.get(Writer, 1),
    "get_one": lambda s: s.get_one(Writer, 1),
    "query": lambda s: s.query(Writer).all(),
    "count": lambda s: s.query(Writer).count(),
    "update": lambda s: s.query(Writer).all_rows().update(name="x"),
    "execute": lambda s: s.execute("SELECT 1"),
    "exec": lambda s: s.exec(Update(Writer).set(name="x").all_rows()),
    "exec_scalar": lambda s: s.exec_scalar("SELECT 1"),
    "bulk_insert": lambda s: s.bulk_insert([Label(name="x")]),
    "bulk_delete": lambda s: s.bulk_delete(Label, [1]),
    "upsert": lambda s: s.upsert([Label(name="x")], conflict=["name"]),
    "get_or_create": lambda s: s.get_or_create(Label, name="x"),
    "merge": lambda s: s.merge(Label(name="x")),
    "begin": lambda s: s.begin(),
    "parallel_exec": lambda s: s.parallel_exec(["SELECT 1"]),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("how", ["close", "block", "atomic"])
def test_a_closed_session_says_so(play: Play, use: Callable[[Any], Any], how: str) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session(atomic=how == "atomic") as session:
            work = await m(session.query(Work).one())
            if how == "close":
                await m(session.close())
            elif how == "atomic":
                await m(session.commit())
        with pytest.raises(SessionError, match="closed; open a new one"):
            await m(use(session))
        assert work.title == "Emma"
        await m(session.close())
        async with open_session() as session:
            assert await m(session.query(Label).count()) == 0

    play(scenario)


def test_a_disposed_engine_says_so(path: Path) -> None:
    engine = Engine(f"sqlite:///{path}")
    session = Session(engine)
    work = session.query(Work).one()
    engine.dispose()
    with pytest.raises(BlazeError, match=r"disposed|closed"):
        Session(engine).query(Work).all()
    session.close()
    session = Session(engine)
    with pytest.raises(BlazeError, match=r"disposed|closed"):
        session.query(Label).all()
    assert work.title == "Emma"
    session.close()
    engine.dispose()


def test_leaving_with_pending_changes_warns_and_counts_them(engine: Engine) -> None:
    with pytest.warns(Warning, match=r"left without commit\(\).*1 new"), Session(engine) as session:
        session.add(Label(name="x"))


SECRET = "p@ss/w:rd?#%"
ENCODED = "p%40ss%2Fw%3Ard%3F%23%25"


def everything_shown(error: BaseException) -> str:
    """Return the message, and the lines and local variables of the library's frames."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [
        frame for frame in shown.stack if "/blaze" in frame.filename and "/tests/" not in frame.filename
    ]
    assert frames
    return str(error) + "".join(f"{frame.name}: {frame.line} {frame.locals}\n" for frame in frames)


def test_a_percent_encoded_password_arrives_decoded() -> None:
    config = ConnectionConfig.from_dsn(f"postgresql://us%40er:{ENCODED}@h:5432/my%20db")
    assert config.secret is not None
    assert config.secret.reveal() == SECRET
    assert (config.user, config.host, config.port, config.database) == ("us@er", "h", 5432, "my db")


def test_a_password_never_shows() -> None:
    config = ConnectionConfig.from_dsn(f"postgresql://user:{ENCODED}@h/db?application_name=x")
    for text in (repr(config), str(config), f"{config}", config.redacted(), repr(vars(config))):
        assert SECRET not in text
        assert ENCODED not in text
    assert SECRET.encode() not in pickle.dumps(config)
    assert config.redacted() == "postgresql://user:***@h/db?application_name=x"


@pytest.mark.parametrize(
    "tail",
    ["@h/db", "@h:port/db", "@h/db?lock_timout=1", "@h/db?connect_timeout=x", "@[::1/db"],
)
@pytest.mark.parametrize("scheme", ["postgresql", "nosuch", "sqlite"])
def test_no_error_of_a_dsn_shows_the_password(
    scheme: str, tail: str, caplog: pytest.LogCaptureFixture
) -> None:
    dsn = f"{scheme}://user:{ENCODED}{tail}"
    for make in (Engine, Session, ConnectionConfig.from_dsn):
        with caplog.at_level(logging.DEBUG):
            try:
                made: Any = make(dsn)
            except ConfigurationError as error:
                shown = everything_shown(error)
            else:
                shown = f"{made!r} {made}"
        for text in (shown, caplog.text):
            assert SECRET not in text
            assert ENCODED not in text
