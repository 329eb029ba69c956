"""Connections that cannot be opened: the right error, soon, with a cure, and no password anywhere."""

from __future__ import annotations

import asyncio
import copy
import pickle
import signal
import socket
import threading
import time
import traceback
from typing import Any

import pytest

from blaze import (
    BlazeError,
    ConfigurationError,
    ConnectionLostError,
    PoolTimeoutError,
    TimeoutError,
)
from tests.faults.own import PASSWORD, OwnServer
from tests.faults.places import Place, with_options
from tests.faults.proxy import Silence

WRONG = "wr0ng-s3cret"


def shown(error: BaseException) -> list[str]:
    """Give everything that a report of an error could show but the frames of the tests themselves."""
    texts = []
    seen: Any = error
    while seen is not None:
        texts += [str(seen), repr(seen), repr(vars(seen)), repr(seen.args)]
        for frame, line in traceback.walk_tb(seen.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                texts += [f"{frame.f_code.co_qualname if hasattr(frame.f_code, 'co_qualname') else line}"]
                for value in frame.f_locals.values():
                    texts += [repr(value), repr(getattr(value, "__dict__", ""))]
        seen = seen.__cause__ or seen.__context__
    return texts


def check_hidden(error: BaseException, caplog: Any, *passwords: str) -> None:
    """See that no password shows in an error, a copy of it, the log, or a frame."""
    texts = [*shown(error), caplog.text, str(pickle.loads(pickle.dumps(error))), repr(copy.copy(error))]
    texts += ["".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())]
    for password in passwords:
        assert not [text for text in texts if password in text]


async def refused(place: Place, dsn: str) -> BlazeError:
    """Use a session on a database that cannot be opened, and see that it and its pool stay whole."""
    engine = place.make_engine(dsn=dsn)
    async with place.through(engine).session() as session:
        with pytest.raises(BlazeError) as raised:
            await session.scalar("SELECT 1")
        await session.rollback()
        with pytest.raises(type(raised.value)):
            await session.scalar("SELECT 1")
    stats = engine.pool_stats()
    assert (stats.in_use, stats.idle, stats.waiting) == (0, 0, 0)
    assert PASSWORD not in repr(engine) + repr(engine.config)
    return raised.value


CASES: dict[str, tuple[type[BlazeError], str]] = {
    "password": (ConfigurationError, "user or password is wrong"),
    "user": (ConfigurationError, "user or password is wrong"),
    "database": (ConfigurationError, "the database does not exist"),
    "tls": (ConfigurationError, "TLS as sslmode asks for it is refused"),
    "certificate": (ConfigurationError, "certificate"),
    "host": (ConnectionLostError, "the host is unknown"),
    "port": (ConnectionLostError, "no server listens there"),
}


@pytest.mark.requirement("R89")
@pytest.mark.parametrize("case", CASES)
async def test_what_is_refused_says_why(
    own_place: tuple[Place, OwnServer], case: str, caplog: pytest.LogCaptureFixture
) -> None:
    place, server = own_place
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dsn = {
            "password": server.dsn(password=WRONG),
            "user": server.dsn(user="nobody_here"),
            "database": server.dsn(database="no_such_database"),
            "tls": with_options(server.dsn(), sslmode="require"),
            "certificate": with_options(server.dsn(), sslmode="verify-full", sslrootcert="/no/such/file.pem"),
            "host": server.dsn().replace("127.0.0.1", "no-such-host.invalid"),
            "port": with_options(server.dsn(), unused.getsockname()[1]),
        }[case]
        error = await refused(place, dsn)
    kind, words = CASES[case]
    assert type(error) is kind
    assert words in str(error)
    assert "cannot be opened" in str(error)
    assert not error.retryable or kind is ConnectionLostError
    check_hidden(error, caplog, PASSWORD, WRONG)


async def test_errors_of_open_connections_hide_the_password_too(
    own_place: tuple[Place, OwnServer], caplog: pytest.LogCaptureFixture
) -> None:
    place, _ = own_place
    engine = place.make_engine(pool_size=1, max_overflow=0, pool_timeout=0.1)
    async with place.through(engine).session() as session:
        for text in ("SELEC 1", "SELECT * FROM no_such_table", "INSERT INTO no_such_table VALUES (1)"):
            with pytest.raises(BlazeError) as raised:
                await session.execute(text)
            check_hidden(raised.value, caplog, PASSWORD)
            await session.rollback()
        await session.begin()
        number = await place.identity(session)
        with pytest.raises(PoolTimeoutError) as exhausted:
            await place.acquire(engine)
        check_hidden(exhausted.value, caplog, PASSWORD)
        await place.kill(number)
        with pytest.raises(ConnectionLostError) as lost:
            await session.scalar("SELECT 1")
        check_hidden(lost.value, caplog, PASSWORD)
    assert PASSWORD not in repr(session.session) + repr(vars(engine)) + repr(vars(session.session))
    with pytest.raises(TypeError):
        pickle.dumps(engine)
    assert PASSWORD not in str(pickle.loads(pickle.dumps(engine.config)).__dict__)
    assert PASSWORD.encode() not in pickle.dumps(engine.config)


@pytest.mark.parametrize(
    "own_place", [("mysql", "sync"), ("mysql", "async"), ("postgresql", "async")], indirect=True, ids="-".join
)
async def test_an_interrupt_while_connecting_hides_the_password(
    own_place: tuple[Place, OwnServer],
) -> None:
    """Only libpq cannot be interrupted here: it comes back first, with an error of its own."""
    place, server = own_place
    with Silence() as silence:
        engine = place.make_engine(dsn=with_options(server.dsn(), silence.port, connect_timeout=20))
        if place.asynchronous:
            task = asyncio.ensure_future(engine.aacquire())
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as cancelled:
                await task
            texts = shown(cancelled.value)
        else:
            before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
            main = threading.get_ident()
            timer = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGUSR1))
            timer.start()
            with pytest.raises(KeyboardInterrupt) as interrupted:
                engine.acquire()
            timer.join()
            signal.signal(signal.SIGUSR1, before)
            texts = shown(interrupted.value)
    assert not [text for text in texts if PASSWORD in text]
    assert engine.pool_stats().in_use == 0


async def test_a_silent_server_costs_connect_timeout(
    own_place: tuple[Place, OwnServer], caplog: pytest.LogCaptureFixture
) -> None:
    place, server = own_place
    with Silence() as silence:
        begun = time.monotonic()
        engine = place.make_engine(dsn=with_options(server.dsn(), silence.port, connect_timeout=0.3))
        with pytest.raises(TimeoutError, match="did not answer within connect_timeout") as raised:
            await place.acquire(engine)
        assert 0.2 < time.monotonic() - begun < 4.0  # libpq knows whole seconds only
    assert type(raised.value) is TimeoutError  # neither exhausted nor refused
    assert engine.pool_stats().in_use == 0
    check_hidden(raised.value, caplog, PASSWORD)


async def test_a_server_without_a_connection_left(
    own_place: tuple[Place, OwnServer], caplog: pytest.LogCaptureFixture
) -> None:
    place, server = own_place
    user = f"one_{place.kind}"
    make, drop = {
        "postgresql": (
            [f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 1"],
            f"DROP ROLE {user}",
        ),
        "mysql": (
            [
                f"CREATE USER {user}@'%' IDENTIFIED BY '{PASSWORD}' WITH MAX_USER_CONNECTIONS 1",
                f"GRANT SELECT ON own.* TO {user}@'%'",
            ],
            f"DROP USER {user}@'%'",
        ),
    }[place.backend]
    async with place.session() as admin:
        for text in make:
            await admin.execute(text)
        await admin.commit()
        engine = place.make_engine(dsn=server.dsn(user=user))
        async with place.connection(engine) as connection:
            await place.identity(connection)
            with pytest.raises(
                ConnectionLostError, match=r"cannot be opened: the (server|user) has"
            ) as raised:
                await place.acquire(engine)
        assert raised.value.retryable
        check_hidden(raised.value, caplog, PASSWORD)
        async with place.connection(engine):
            assert engine.pool_stats().in_use == 1
        await engine.adispose()
        await admin.execute(drop)
        await admin.commit()
