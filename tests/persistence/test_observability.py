"""Statistics, N+1 warnings, logs and redaction as sessions give them."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import warnings
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blaze import (
    BlazeError,
    Engine,
    Field,
    Model,
    NoResultError,
    Select,
    Session,
    create_all,
    field,
    sql,
)  # fmt: skip
from blaze.errors import ConfigurationError, NPlusOneWarning
from blaze.security import redactor
from blaze.utils.logging import correlation
from blaze.utils.parameter_names import parameter_names
from tests.persistence.models import Author, Book, Tag
from tests.persistence.twins import Database, settled


class Login(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(unique=True)
    password: Field[str]
    reset_token: Field[Optional[str]] = field(default=None)
    tokenize: Field[Optional[str]] = field(default=None)
    api_key: Field[Optional[str]] = field(default=None, column="ak1")


class Ticket(Model):
    token: Field[str] = field(primary_key=True, init=True)


SECRET = "hunter2"


async def library(db: Database) -> None:
    await db.save(*[Author(name=f"a{n}", books=[Book(title=f"b{n}")]) for n in range(8)])


# --- N+1


async def loop_of_queries(s: Any, authors: list[Author]) -> None:
    for author in authors:
        found = s.query(Book).where(Book.author_id == author.id).all()
        await found if s.asynchronous else None


async def loop_of_relations(s: Any, authors: list[Author]) -> None:
    for author in authors:
        found = s.query(Book).where(Book.author == author, Book.rating >= 0).count()
        await found if s.asynchronous else None


async def loop_of_gets(s: Any, authors: list[Author]) -> None:
    for author in authors:
        s.expunge(author)
        found = s.get(Author, author.id)
        await found if s.asynchronous else None


async def loop_of_keys(s: Any, authors: list[Author]) -> None:
    for author in authors:
        found = s.query(Book).filter(id=author.id).first()
        await found if s.asynchronous else None


async def loop_of_loads(s: Any, authors: list[Author]) -> None:
    for author in authors:
        s.expunge(author)
        author = await settled(s.query(Author).where(Author.name == author.name).first())
        found = s.load(author, Author.books)
        await found if s.asynchronous else None


async def loop_of_links(s: Any, authors: list[Author]) -> None:
    for author in authors:
        found = s.query(Tag).where(Tag.books == Book(id=author.id, title="")).all()
        await found if s.asynchronous else None


@pytest.mark.requirement("R59", "R93")
@pytest.mark.parametrize(
    ("loop", "message"),
    [
        (loop_of_loads, r"has loaded Author.books 6 times.*add \.include\(Author.books\) to the query"),
        (loop_of_links, r"has loaded Book.tags 6 times.*add \.include\(Book.tags\) to the query"),
        (loop_of_queries, r"has loaded Author.books 6 times.*add \.include\(Author.books\) to the query"),
        (loop_of_relations, r"has loaded Author.books 6 times.*add \.include\(Author.books\) to the query"),
        (loop_of_gets, r"has fetched Author 6 times.*in_\(\).*\.include\(Book.author\) or .*Book.editor"),
        (loop_of_keys, r"has fetched Book 6 times.*in_\(\).*\.include\(Chapter.book\)"),
    ],
)
async def test_a_loop_is_warned_about_once_with_line_and_cure(db: Database, loop: Any, message: str) -> None:
    await library(db)
    async with db.session() as s:

        async def twice() -> None:
            for _ in range(2):
                await loop(s.session, await s.all(Author))

        with pytest.warns(NPlusOneWarning, match=message) as caught:
            await twice()
        (warning,) = caught
        assert warning.filename == __file__
        first = loop.__code__.co_firstlineno
        assert first < warning.lineno <= first + 6
        assert f"test_observability.py:{warning.lineno} has" in str(warning.message)
        (loops,) = s.session.export_query_stats()["n_plus_one"]
        assert loops["line"] == warning.lineno


@pytest.mark.requirement("R59", "R93")
async def test_what_is_no_loop_is_not_warned_about(db: Database) -> None:
    await library(db)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with db.session() as s:
            authors = await s.all(Author)
            for author in authors:
                author.name += "!"
                await s.flush()
                await s.add(Tag(name=author.name))
                await s.flush()
                await s.execute("INSERT INTO tag (name) VALUES (?)", [author.name])
                await s.bulk_insert([Tag(name="bulk")])
                await s.get_or_create(Author, email=f"{author.id}@x", defaults={"name": "x"})
                await s.bulk_update([Tag(id=1, name="t")])
                await s.upsert([Author(name="x", email=author.name)], ["email"])
                await s.bulk_delete(Tag, [author.id])
                await settled(s.session.query(Book).where(Book.author_id == 1).all())  # waits for a change
                await settled(s.session.query(Book).where(Book.rating >= author.id).all())
                if not db.asynchronous:
                    assert list(author.books) is not None  # for all of them at once
            await s.load(authors, Author.books, Author.edited)
            await s.rollback()
        for kind in (4, 5):
            async with db.session(performance_threshold=kind) as s:
                for number in range(1, kind + 1):
                    await s.get(Author, number)
        async with db.session(performance_threshold=0) as s:
            for number in range(1, 9):
                await s.get(Author, number)


async def test_the_warning_can_be_an_error_and_can_be_silenced(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        with warnings.catch_warnings():
            warnings.simplefilter("error", NPlusOneWarning)
            with pytest.raises(NPlusOneWarning):
                await loop_of_queries(s.session, await s.all(Author))
        await s.all(Author)
    async with db.session() as s:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore", NPlusOneWarning)
            await loop_of_queries(s.session, await s.all(Author))
        assert not caught


@pytest.mark.parametrize("threshold", [-1, 2.5, "5", None, True])
def test_a_wrong_threshold_is_refused(engine: Engine, threshold: Any) -> None:
    with pytest.raises(ConfigurationError, match="performance_threshold"):
        Session(engine, performance_threshold=threshold)


# --- statistics


@pytest.mark.requirement("R93", "R95", "R96", "R97")
async def test_statistics_of_a_session(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        for number in range(3):
            await settled(s.session.query(Author).where(Author.id > number).all())
            await s.execute(f"SELECT name FROM author WHERE name = 'a{number}' OR id = {number}")
        stats = s.session.query_stats()
        assert stats.total == 6
        query, raw = stats
        assert (query.count, query.rows) == (3, 8 + 7 + 6)
        assert (raw.sql, raw.count) == ("SELECT name FROM author WHERE name = ? OR id = ?", 3)
        assert 0 < query.mean_ms <= query.max_ms <= query.total_ms == pytest.approx(3 * query.mean_ms)
        exported = s.session.export_query_stats(reset=True, include_samples=True)
        assert json.loads(json.dumps(exported)) == exported
        assert s.session.query_stats().total == 0
        await s.all(Tag)
        s.session.reset_query_stats()
        assert list(s.session.query_stats()) == []


@pytest.mark.requirement("R93")
async def test_memory_stays_bounded_over_100_000_shapes(blocking: Database) -> None:
    with Session(blocking.engine) as session:
        record = session.tracker.record
        for number in range(100_000):
            record(f"SELECT c{number} FROM t", 0.001, 1, (number,))
        stats = session.query_stats()
        assert stats.total == 100_000
        assert len(stats) <= 1_000
        assert len(session.tracker._entries) <= 1_000


# --- redaction


async def use_secrets(s: Any) -> None:
    """Send a secret in every kind of statement, and fail with it."""
    one = Login(name="a", password=SECRET, reset_token=SECRET, api_key=SECRET, tokenize="shown1")
    await s.add_all([one, Login(name="b", password=SECRET, tokenize="shown2")])
    await s.flush()
    one.password = f"{SECRET}!"
    await s.flush()
    await s.bulk_insert([Login(name=f"c{n}", password=SECRET) for n in range(3)])
    await s.upsert([Login(name="c1", password=SECRET)], ["name"])
    query = s.session.query(Login)
    await settled(query.where(Login.password == SECRET, Login.name == "shown3").all())
    await settled(query.where(Login.api_key.in_([SECRET, "x"])).all())
    await settled(query.where(Login.password.startswith(SECRET)).all())
    await settled(query.where(Login.password.between(SECRET, "z")).count())
    await settled(query.where(Login.id == 1).update(password=SECRET))
    await settled(query.filter(password__iexact=SECRET).explain())
    text = "SELECT name FROM login WHERE password = {} AND tokenize = 'shown4'"
    await s.execute(text.format("?"), [SECRET])
    await s.execute(text.format("%s"), [SECRET])
    await s.execute(text.format(":any_name"), {"any_name": SECRET})
    await s.execute(text.format(f"'{SECRET}'"))
    await s.execute("SELECT ? || name FROM login WHERE lower(?) = ?", [SECRET, SECRET, SECRET])
    await s.execute(sql("SELECT name FROM login WHERE password = {x}", x=SECRET))
    with pytest.raises(BlazeError) as caught:
        await s.execute("SELECT nothing FROM login WHERE password = ?", [SECRET])
    assert SECRET not in str(caught.value)
    with pytest.raises(BlazeError) as caught:
        await s.bulk_insert([Login(name="a", password=SECRET)])
    assert SECRET not in str(caught.value)
    for wrong in ({"password": [SECRET]}, {"password": 5, "api_key": (SECRET,)}):
        with pytest.raises(BlazeError) as caught:
            await s.bulk_insert([Login(name="w", **wrong)])
        assert SECRET not in str(caught.value)
    with pytest.raises(BlazeError) as caught:
        Login.password == [SECRET]  # noqa: B015
    assert SECRET not in str(caught.value)
    with pytest.raises(NoResultError) as missing:
        await s.get_one(Ticket, SECRET)
    assert SECRET not in str(missing.value)


@pytest.mark.requirement("R38", "R89", "R91", "R94", "R96")
async def test_no_secret_reaches_logs_samples_or_messages(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    create_all(db.engine, [Login, Ticket])
    caplog.set_level(logging.DEBUG, "blaze")
    async with db.session(slow_query_ms=0) as s:
        await use_secrets(s)
        exported = json.dumps(s.session.export_query_stats(include_samples=True))
        await s.rollback()
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    for text in (logged, exported):
        assert SECRET not in text
        assert "***" in text
        for shown in ("shown1", "shown2", "shown3"):
            assert shown in logged, "only what is sensitive is hidden"
    assert {record.name for record in caplog.records} >= {"blaze.sql", "blaze.slow"}


WORDS = st.text("abcdefgxyz_", min_size=1, max_size=8).filter(lambda w: w.strip("_"))


@pytest.mark.requirement("R38", "R89")
@given(
    before=st.lists(WORDS, max_size=2), after=st.lists(WORDS, max_size=2),
    word=st.sampled_from(["password", "token", "secret", "api_key", "Password", "apiKey"]),
    shape=st.integers(0, 7), others=st.integers(0, 3),
)  # fmt: skip
def test_whatever_the_statement_a_sensitive_column_is_hidden(
    before: list[str], after: list[str], word: str, shape: int, others: int
) -> None:
    column = "_".join([*before, word, *after])
    columns = [f"col{n}" for n in range(others)]
    position = others // 2
    columns.insert(position, column)
    quoted = [f'"{name}"' for name in columns]
    places = ", ".join("?" * len(columns))
    statement = [
        f"INSERT INTO t ({', '.join(quoted)}) VALUES ({places})",
        f"INSERT INTO t ({', '.join(quoted)}) VALUES ({places}), ({places}) ON CONFLICT DO NOTHING",
        f"UPDATE t SET {', '.join(f'{name} = ?' for name in quoted)} WHERE x = 1",
        f"SELECT * FROM t AS u WHERE {' AND '.join(f'u.{name} = ?' for name in quoted)}",
        f"SELECT * FROM t WHERE {' OR '.join(f'(lower({name}) LIKE lower(?))' for name in quoted)}",
        f"DELETE FROM t WHERE ({', '.join(quoted)}) IN (({places}), ({places}))",
        f"SELECT * FROM t WHERE {quoted[position]} IN ({places})",
        f"SELECT * FROM t WHERE {' AND '.join(f'{name} IS NOT ?' for name in quoted)} -- {column}",
    ][shape]
    values = [f"v{n}" for n in range(len(columns))]
    values[position] = SECRET
    if shape in (1, 5):
        values *= 2
    if shape == 6:
        values = [SECRET] * len(values)
    shown = redactor.parameters(values, parameter_names(statement))
    assert SECRET not in repr(shown)
    assert "***" in shown
    assert shape == 6 or shown.count("***") == values.count(SECRET), "and nothing else is"


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("SELECT * FROM t WHERE password || salt = ?", (None,)),
        ("SELECT ?, f(?), password", (None, None)),
        ("UPDATE t SET n = n + ?, password = ? || salt WHERE ? = id", (None, None, "id")),
        ("SELECT * FROM t WHERE b = $2 AND a = $1 LIMIT $3", ("a", "b", "limit")),
        ("SELECT * FROM t WHERE a BETWEEN ? AND ? AND b NOT LIKE ? ESCAPE '!'", ("a", "a", "b")),
        ("SELECT 'a = ?', \"b = ?\" FROM t -- c = ?\n WHERE d = /* e = ? */ ?", ("d",)),
        ("SELECT * FROM t WHERE (a, b) > (?, ?) AND CAST(c AS text) = ?", ("a", "b", None)),
        ("SELECT * FROM t WHERE a = :p OR b = :p", (None,)),
        ("SELECT * FROM t WHERE a = ($1::int4) AND b IN (($2::int4), $3)", ("a", "b", "b")),
        ("INSERT INTO t (a, b, c) VALUES (($1::numeric), NULL, $2)", ("a", "c")),
        ("UPDATE t SET a = (%s::float8) WHERE b || c = (%s::float8)", ("a", None)),
        *[
            (f"{start} WHERE z = ? AND t.b = ?", (None, "b"))
            for value in (
                "password",
                't."password"',
                "lower(password)",
                "password || '!'",
                "case when a then b end",
            )
            for start in (
                f"WITH q AS (SELECT {value} AS z FROM t) SELECT * FROM q",
                f"WITH q AS (SELECT {value} z FROM t) SELECT * FROM q",
                f"WITH q(a, z) AS (SELECT a, {value} FROM t) SELECT * FROM q",
                f"SELECT * FROM (SELECT a, {value} z, b FROM t) x",
                f'SELECT * FROM (SELECT a, {value} "z", b FROM t)',
                f"SELECT * FROM (SELECT a, {value} FROM t) AS x (a, z)",
                f"SELECT * FROM (SELECT a, {value} FROM t) x (a, z)",
            )
        ],
        (
            "SELECT DISTINCT a FROM t x JOIN u y USING (c) WHERE x.c = ? AND NOT d = ? ORDER BY a LIMIT ?",
            ("c", "d", "limit"),
        ),
        ("INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET a = ?, b = ?", ("a", "a", "b")),
    ],
)
def test_what_leaves_a_doubt_has_no_name(statement: str, names: Any) -> None:
    assert parameter_names(statement) == names


def test_names_can_be_added_and_taken_away() -> None:
    assert not redactor.is_sensitive("shoe_size")
    redactor.configure(extra=["shoeSize"])
    try:
        assert redactor.is_sensitive("left_shoe_size")
    finally:
        redactor.configure(allow=["shoe_size"])
    assert not redactor.is_sensitive("shoe_size")


# --- logs


@pytest.mark.requirement("R91", "R94", "R98")
async def test_logs_say_what_was_executed(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "blaze.sql")
    async with db.session() as s, db.session(slow_query_ms=0) as slow:
        await s.execute("SELECT id FROM tag WHERE name = ?", ["a"])
        with correlation("request 7"):
            await s.all(Tag)
        with pytest.raises(BlazeError):
            await slow.execute("SELECT nowhere")
        own = s.session.correlation_id
        assert own != slow.session.correlation_id
    quiet, request, failed, failed_log = [record.blaze for record in caplog.records]  # type: ignore[attr-defined]
    assert quiet["statement"] == "SELECT id FROM tag WHERE name = ?"
    assert (quiet["params"], quiet["rows"], quiet["correlation_id"]) == (["'a'"], 0, own)
    assert quiet["duration_ms"] >= 0
    assert request["correlation_id"] == "request 7"
    assert (failed["error"], failed["threshold_ms"], failed["rows"]) == ("SQLSyntaxError", 0, None)
    assert failed_log["error"] == "SQLSyntaxError"


@pytest.mark.requirement("R94")
async def test_only_slow_statements_are_slow(
    db: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, logged in ((None, False), (0, True), (1e9, False), (float("inf"), False)):
        caplog.clear()
        async with db.session(slow_query_ms=limit) as s:
            await s.all(Tag)
        assert bool([r for r in caplog.records if r.name == "blaze.slow"]) is logged
    monkeypatch.setenv("BLAZE_SLOW_QUERY_MS", "0")
    with Engine("sqlite://") as engine, Session(engine) as session:
        session.execute("SELECT 1")
    assert [r for r in caplog.records if r.name == "blaze.slow"]
    for wrong in (-1, float("nan"), "fast", True):
        with pytest.raises(ConfigurationError, match="slow_query_ms"):
            db.open(slow_query_ms=wrong)
    monkeypatch.setenv("BLAZE_SLOW_QUERY_MS", "soon")
    with Engine("sqlite://") as engine, pytest.raises(ConfigurationError, match="BLAZE_SLOW_QUERY_MS"):
        Session(engine)


@pytest.mark.requirement("R91")
def test_importing_blaze_configures_no_logging_and_prints_nothing() -> None:
    script = (
        "import logging, warnings; before = warnings.filters[:];"
        " import blaze, blaze.hooks, blaze.security;"
        " from blaze import Session, Engine;"
        " session = Session(Engine('sqlite://'), slow_query_ms=1e9);"
        " session.execute('SELECT 1'); session.close();"
        " loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)];"
        " assert not any(found.handlers or found.filters for found in loggers), loggers;"
        " assert warnings.filters == before"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


async def test_the_names_of_parameters_count_for_each_statement(db: Database, caplog: Any) -> None:
    from blaze import sql

    template = "SELECT name FROM author WHERE {one} = {two} AND id IN {three}"
    async with db.session(slow_query_ms=0) as s:

        async def shown(*arguments: Any) -> Any:
            await s.execute(*arguments)
            return caplog.records[-1].blaze["params"]

        # The texts that are sent are the same: the names are those of the execution.
        assert await shown("SELECT name FROM author WHERE name = :n", {"n": "x"}) == ["'x'"]
        assert await shown("SELECT name FROM author WHERE name = :password", {"password": "x"}) == ["***"]
        assert await shown("SELECT name FROM author WHERE name = :n", {"n": "x"}) == ["'x'"]
        by_name = sql("SELECT name FROM author WHERE name = {token}", token="x")
        assert await shown(by_name) == ["***"]
        assert await shown(sql("SELECT name FROM author WHERE name = {n}", n="x")) == ["'x'"]
        inner = sql("name = {secret}", secret="s")
        assert await shown(sql("SELECT 1 FROM author WHERE {c} AND name = {n}", c=inner, n="x")) == [
            "***",
            "'x'",
        ]
        listed = await shown(sql(template, one="o", two=Author.id == 3, three=["1", "2"]))
        assert "***" not in listed
        query = s.session.query(Author.name).where(Author.id.in_([1, 2]))
        mixed = await shown(sql("SELECT 1 WHERE {pin} IN {q} OR {x} = 1", pin="1234", q=query, x=5))
        assert "'1234'" not in mixed
        samples = await s.export_query_stats(include_samples=True)
    assert "'s'" not in str(samples)


@pytest.mark.requirement("R95", "R98")
async def test_rows_of_raw_sql_counts_and_parallel_tasks_are_told(db: Database) -> None:
    await library(db)
    heard: list[Any] = []

    class Hooks:
        def after_execute(self, statement: str, rows: Any) -> None:
            heard.append((statement.split()[0], rows))

    async with db.session(hooks=[Hooks()]) as s:
        await s.execute("SELECT * FROM author")
        await s.exec_scalar("SELECT count(*) FROM author")
        await settled(s.session.query(Author).count())
        await settled(s.session.query(Author).exists())
        assert [rows for _, rows in heard] == [8, 1, 1, 1]
        await s.parallel_exec([Select(Author).all(), Select(Book).count()])
        assert sorted(heard[4:]) == [("SELECT", 1), ("SELECT", 8)]
        stats = list(s.session.query_stats())
        assert sum(entry.count for entry in stats) == s.statements == 6


@pytest.mark.requirement("R93")
async def test_tasks_without_a_line_of_the_program_are_not_blamed_on_another(awaiting: Database) -> None:
    await library(awaiting)
    async with awaiting.session() as s:
        query = s.session.query(Author)
        found = await asyncio.gather(*[query.where(Author.id == number).one() for number in range(1, 9)])
        assert len(found) == 8
