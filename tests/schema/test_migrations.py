"""Migrations on a real SQLite: applied once, in order, checked before, and taken back; sync and async."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blaze import (
    Check,
    Engine,
    Field,
    Index,
    Migration,
    MigrationEngine,
    MigrationError,
    Model,
    SchemaBuilder,
    Unique,
    field,
)
from blaze.dialects.types import Boolean, Date, Integer, String
from blaze.errors import ConfigurationError, NotNullError, SQLSyntaxError, UniqueError
from blaze.schema import (
    AddColumn,
    AddConstraint,
    AlterColumn,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropTable,
    References,
    RenameColumn,
    RenameTable,
    RunPython,
    RunSQL,
    TableColumn,
    table,
)
from blaze.schema.tables import copy_column
from tests.schema import models as m

KEY = TableColumn("id", Integer(), primary_key=True, identity=True)
TITLE = TableColumn("title", String(20))
BOOK = table("book", [KEY, TITLE])
INITIAL = Migration("0001_initial", [CreateTable(BOOK)])


class Twin:
    """A migration engine whose methods are awaited, whichever kind they are."""

    def __init__(self, engine: Engine, awaited: bool) -> None:
        self.engine = engine
        self.awaited = awaited
        self.migrations = MigrationEngine(engine)

    def fresh(self, *migrations: Migration, **options: Any) -> Twin:
        """Give a twin that knows nothing but these migrations."""
        twin = Twin(self.engine, self.awaited)
        twin.migrations = MigrationEngine(self.engine, migrations, **options)
        return twin

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.migrations, f"a{name}" if self.awaited else name)

        async def call(*arguments: Any, **named: Any) -> Any:
            found = method(*arguments, **named)
            return await found if inspect.isawaitable(found) else found

        return call

    def rows(self, sql: str) -> list[Any]:
        with self.engine.connection() as connection:
            return connection.execute(sql).rows

    @property
    def schema(self) -> list[Any]:
        """Give everything in the database but what belongs to migrations."""
        return self.rows(
            "SELECT type, name, sql FROM sqlite_master WHERE tbl_name <> 'blaze_migrations' ORDER BY 1, 2"
        )


@pytest.fixture(params=["sync", "async"])
async def db(request: Any, tmp_path: Path) -> AsyncIterator[Twin]:
    engine = Engine(f"sqlite:///{tmp_path / 'test.db'}")
    yield Twin(engine, request.param == "async")
    stats = engine.pool_stats()
    await engine.adispose()
    assert stats.in_use == 0, stats


@pytest.mark.requirement("R84", "R86")
async def test_migrations_are_applied_once_and_in_order(db: Twin) -> None:
    second = Migration("0002_pages", [AddColumn("book", TableColumn("pages", Integer(), nullable=True))])
    assert await db.applied() == []
    assert await db.pending([INITIAL, second]) == ["0001_initial", "0002_pages"]
    assert db.schema == []
    assert await db.apply([INITIAL]) == ["0001_initial"]
    assert await db.apply([INITIAL, second]) == ["0002_pages"]
    assert await db.apply([INITIAL, second]) == []
    assert await db.fresh(INITIAL, second).apply() == []
    assert await db.applied() == ["0001_initial", "0002_pages"]
    assert await db.pending() == []
    assert "pages" in db.schema[0][2]


@pytest.mark.requirement("R84")
async def test_the_database_remembers_what_was_done_and_when(db: Twin) -> None:
    before = datetime.now(timezone.utc)
    await db.apply([INITIAL])
    (entry,) = await db.history()
    assert (entry.name, entry.position, entry.state, entry.steps) == ("0001_initial", 1, "applied", 1)
    assert entry.checksum == INITIAL.checksum
    assert before <= entry.applied_at <= datetime.now(timezone.utc)
    assert 0 <= entry.duration < 60


@pytest.mark.requirement("R88")
async def test_what_the_schema_builder_makes_is_applied(db: Twin) -> None:
    builder = SchemaBuilder(db.engine.dialect)
    migration = Migration(
        "0001", operations=[*builder.create_sql(m.MODELS)], rollback=[*builder.drop_sql(m.MODELS)]
    )
    assert await db.apply([migration]) == ["0001"]
    assert len(db.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'article_tags'")) == 1
    assert await db.rollback(confirm_destructive=True) == ["0001"]
    assert db.schema == []


@pytest.mark.requirement("R84")
async def test_tables_of_models_come_with_their_join_tables(db: Twin) -> None:
    assert await db.apply([Migration("0001", [CreateTable(*m.MODELS)])]) == ["0001"]
    made = db.schema
    assert await db.rollback(confirm_destructive=True) == ["0001"]
    assert db.schema == []
    await db.apply()
    assert db.schema == made


@pytest.mark.requirement("R85", "R87")
@pytest.mark.parametrize(
    "operation",
    [
        "DROP TABLE book",
        "/* harmless */ delete from book -- WHERE id = 1",
        DropTable("book"),
        DropColumn("book", "title"),
        AlterColumn("book", TableColumn("title", String(5)), old=TITLE),
        AlterColumn("book", TITLE),
        DropIndex("book", "ix"),
        DropConstraint("book", "uq"),
        RunSQL("SELECT 1", destructive=True),
        RunPython(lambda run: None, destructive=True),
    ],
    ids=str,
)
async def test_what_loses_data_needs_a_confirmation_before_anything_runs(db: Twin, operation: Any) -> None:
    await db.apply([INITIAL])
    harmless = Migration("0002_harmless", ["INSERT INTO book (title) VALUES ('Emma')"])
    with pytest.raises(MigrationError, match=r"'0003_bad' may lose data: .*confirm_destructive=True"):
        await db.apply([INITIAL, harmless, Migration("0003_bad", ["SELECT 1", operation])])
    assert await db.applied() == ["0001_initial"]
    assert db.rows("SELECT * FROM book") == []


@pytest.mark.requirement("R87")
async def test_the_statement_stands_in_the_message_and_a_confirmation_helps(db: Twin) -> None:
    bad = Migration("0002_bad", ["DROP\n TABLE book"])
    with pytest.raises(MigrationError, match="DROP TABLE book"):
        await db.apply([INITIAL, bad])
    assert await db.apply([INITIAL, bad], confirm_destructive=True) == ["0001_initial", "0002_bad"]
    assert db.schema == []


@pytest.mark.requirement("R85")
async def test_an_applied_migration_must_not_change(db: Twin) -> None:
    await db.apply([Migration("0001", ["CREATE TABLE book (id INTEGER)"])])
    same = Migration("0001", ["-- the first\nCREATE  TABLE book\n(id INTEGER)"], rollback=["SELECT 1"])
    assert await db.fresh(same).apply() == []
    other = Migration("0001", ["CREATE TABLE book (id INTEGER, title TEXT)"])
    for call in (db.fresh(other).apply, db.fresh(other).pending, db.fresh(other).rollback):
        with pytest.raises(MigrationError, match="'0001' has changed since it was applied"):
            await call()


@pytest.mark.requirement("R85")
async def test_all_migrations_must_be_given_in_their_order(db: Twin) -> None:
    first, second, third = (Migration(name, [f"CREATE TABLE t{name} (a)"]) for name in ("01", "02", "03"))
    await db.apply([first, third])
    with pytest.raises(MigrationError, match="has the migration '03', which is not among those given"):
        await db.fresh(first, second).apply()
    with pytest.raises(MigrationError, match="'02' stands before '03', which is applied already"):
        await db.fresh(first, second, third).apply()
    with pytest.raises(MigrationError, match="two migrations are named '01'"):
        await db.apply([first, first])
    with pytest.raises(MigrationError, match="no Migration"):
        await db.apply(["CREATE TABLE x (a)"])
    with pytest.raises(MigrationError, match="None is no list of migrations"):
        await db.apply(None)


@pytest.mark.requirement("R84")
async def test_a_migration_that_fails_leaves_nothing_and_those_before_stay(db: Twin) -> None:
    bad = Migration(
        "0002", ["CREATE TABLE one (a); INSERT INTO book VALUES (1, 'Emma')", "INSERT INTO two VALUES"]
    )
    with pytest.raises(
        MigrationError, match="'0002' failed at step 3 of 3, nothing of it was kept"
    ) as caught:
        await db.apply([INITIAL, bad])
    assert isinstance(caught.value.__cause__, SQLSyntaxError)
    assert await db.applied() == ["0001_initial"]
    assert db.rows("SELECT * FROM book") == []
    assert len(db.schema) == 1
    mended = Migration("0002", ["CREATE TABLE one (a)"])
    assert await db.apply([INITIAL, mended]) == ["0002"]


@pytest.mark.requirement("R85")
@pytest.mark.parametrize("word", ["BEGIN", "COMMIT", "rollback", "SAVEPOINT a"])
async def test_transactions_belong_to_the_engine(db: Twin, word: str) -> None:
    with pytest.raises(MigrationError, match="the engine begins and ends transactions itself"):
        await db.apply([INITIAL, Migration("0002", [f"SELECT 1; {word}; SELECT 2"])])
    assert await db.applied() == []


def up_and_down() -> list[Migration]:
    author = table(
        "author",
        [KEY, TableColumn("name", String(20), unique=True), TableColumn("born", Date(), nullable=True)],
        indexes=[Index("born", where="born IS NOT NULL")],
    )
    author_id = TableColumn("author_id", Integer(), nullable=True, index=True)
    return [
        INITIAL,
        Migration("02", [CreateTable(author), AddColumn("book", author_id)]),
        Migration("03", [AddConstraint("book", References("author_id", "author", on_delete="CASCADE"))]),
        Migration(
            "04", [AddConstraint("book", Check("length(title) > 0")), AddConstraint("book", Unique("title"))]
        ),
        Migration(
            "05",
            [
                AlterColumn("book", TableColumn("title", String(50), nullable=True), old=TITLE),
                AddColumn("book", TableColumn("free", Boolean(), server_default="0", check="free IN (0, 1)")),
                AddColumn("book", TableColumn("added", Date(), server_default="CURRENT_DATE")),
            ],
        ),
        Migration("06", [RenameColumn("book", "title", "heading"), RenameTable("author", "writer")]),
        Migration("07", [CreateIndex("book", Index("heading", "free", unique=True))]),
        Migration(
            "08",
            [
                DropConstraint("book", Unique("title")),
                DropIndex("book", Index("author_id")),
                DropTable(table("tag", [KEY])),
            ],
            rollback=[
                CreateTable(table("tag", [KEY])),
                CreateIndex("book", Index("author_id")),
                AddConstraint("book", Unique("heading", name="uq_book_title")),
            ],
        ),
    ]


@pytest.mark.requirement("R84", "R86", "R88")
async def test_up_down_and_up_again_gives_the_same_schema(db: Twin) -> None:
    migrations = up_and_down()
    migrations.insert(7, Migration("07b", [CreateTable(table("tag", [KEY]))]))
    states: list[Any] = [db.schema]
    for number in range(1, len(migrations) + 1):
        await db.apply(migrations[:number], confirm_destructive=True)
        states.append(db.schema)
    names = [each.name for each in migrations]
    assert await db.applied() == names
    for number in range(len(migrations) - 1, -1, -1):
        assert await db.rollback(confirm_destructive=True) == [names[number]]
        assert normal(db.schema) == normal(states[number])
    assert await db.apply(confirm_destructive=True) == names
    assert normal(db.schema) == normal(states[-1])
    assert await db.rollback(to="02", confirm_destructive=True) == names[:1:-1]
    assert normal(db.schema) == normal(states[2])
    assert await db.rollback(to="zero", confirm_destructive=True) == ["02", "0001_initial"]
    assert db.schema == []


def normal(schema: list[Any]) -> list[Any]:
    """Leave the order of definitions, the layout, and the names of SQLite's own indexes out of a schema."""
    return [
        (kind, name.startswith("sqlite_autoindex") or name, sorted(re.findall(r"\w+|[^\s\w\",]", sql or "")))
        for kind, name, sql in schema
    ]


@pytest.mark.requirement("R85", "R87")
async def test_a_rollback_is_checked_before_anything_runs(db: Twin) -> None:
    second = Migration("0002", ["CREATE TABLE one (a)"])
    third = Migration("0003", ["CREATE TABLE two (a)"], rollback=["SELECT 1"])
    await db.apply([INITIAL, second, third])
    with pytest.raises(MigrationError, match=r"'0002' cannot be rolled back: RunSQL\('CREATE TABLE one"):
        await db.rollback(to="zero", confirm_destructive=True)
    with pytest.raises(MigrationError, match="no migration '0004' is applied; did you mean '0003'"):
        await db.rollback(to="0004")
    with pytest.raises(MigrationError, match="'0003' is applied, but not known here"):
        await db.fresh(INITIAL, second).rollback()
    assert await db.applied() == ["0001_initial", "0002", "0003"]
    assert await db.rollback() == ["0003"]
    better = Migration("0002", ["CREATE TABLE one (a)"], rollback=["DROP TABLE one"])
    known = db.fresh(INITIAL, better)
    with pytest.raises(MigrationError, match=r"rollback of migration '0002' may lose data: .*DROP TABLE one"):
        await known.rollback()
    assert await known.rollback(confirm_destructive=True) == ["0002"]
    with pytest.raises(MigrationError, match="drops 'book' with all rows"):
        await known.rollback()
    assert await known.rollback(confirm_destructive=True) == ["0001_initial"]
    assert await known.rollback() == []


@pytest.mark.requirement("R84")
async def test_a_function_changes_data_in_both_kinds_of_engines(db: Twin) -> None:
    def shout(run: Any) -> Any:
        for key, title in (yield run("SELECT id, title FROM book")).rows:
            yield run("UPDATE book SET title = :title WHERE id = :id", {"title": title.upper(), "id": key})

    async def wrong(run: Any) -> None:
        raise AssertionError

    await db.apply([INITIAL, Migration("02", ["INSERT INTO book (title) VALUES ('Emma'), ('Persuasion')"])])
    assert await db.apply([Migration("03", [RunPython(shout, rollback=lambda run: None)])]) == ["03"]
    assert db.rows("SELECT title FROM book ORDER BY id") == [("EMMA",), ("PERSUASION",)]
    assert await db.rollback() == ["03"]
    with pytest.raises(MigrationError, match="wrong returned coroutine"):
        await db.apply([Migration("04", [RunPython(wrong)])])


@pytest.mark.requirement("R84", "R86")
async def test_existing_rows_are_kept_and_checked(db: Twin) -> None:
    author = table("author", [KEY])
    written = TableColumn("author_id", Integer(), nullable=True)
    await db.apply([INITIAL, Migration("02", [CreateTable(author), AddColumn("book", written)])])
    db.rows("INSERT INTO book (id, title, author_id) VALUES (7, 'Emma', 1), (9, 'Emma', 2)")
    db.rows("INSERT INTO author VALUES (1)")
    unique = Migration("03", [AddConstraint("book", Unique("title"))])
    with pytest.raises(MigrationError, match=r"the same value of book\.title;") as caught:
        await db.apply([unique])
    assert isinstance(caught.value.__cause__, UniqueError)
    missing = Migration("03", [AddColumn("book", TableColumn("pages", Integer()))])
    with pytest.raises(
        MigrationError, match=r": book\.pages must have a value.*server_default=.*nullable="
    ) as caught:
        await db.apply([missing])
    assert isinstance(caught.value.__cause__, NotNullError)
    key = Migration("03", [AddConstraint("book", References("author_id", "author"))])
    with pytest.raises(MigrationError, match=r"leaves rows that refer to nothing.*1 of 'book' to 'author'"):
        await db.apply([key])
    db.rows("INSERT INTO author VALUES (2)")
    assert await db.apply([key]) == ["03"]
    assert db.rows("SELECT * FROM book") == [(7, "Emma", 1), (9, "Emma", 2)]
    assert db.rows("PRAGMA foreign_keys") == [(1,)]


@pytest.mark.requirement("R84")
async def test_the_history_may_have_another_name(db: Twin) -> None:
    twin = db.fresh(INITIAL, table="history of 'books'")
    assert await twin.apply() == ["0001_initial"]
    assert await twin.applied() == ["0001_initial"]
    assert await db.applied() == []
    assert db.rows("SELECT name FROM \"history of 'books'\"") == [("0001_initial",)]


@pytest.mark.parametrize("name", ["", " ", "zero", "x" * 256, "a\nb", None, 1])
def test_names_that_cannot_be(name: Any) -> None:
    with pytest.raises(MigrationError, match="name"):
        Migration(name, [])


def test_what_is_no_operation_is_refused_at_once() -> None:
    for operations in ([object()], [None], "CREATE TABLE a (b)", CreateTable(BOOK)):
        with pytest.raises(MigrationError, match=r"'0001'.*(no operation|is a list)"):
            Migration("0001", operations)  # type: ignore[arg-type,list-item]
    wrong: list[Any] = [
        lambda: CreateTable(),
        lambda: CreateTable("book"),  # type: ignore[arg-type]
        lambda: DropTable(7),  # type: ignore[arg-type]
        lambda: AddColumn("book", "title"),  # type: ignore[arg-type]
        lambda: AddColumn("", TITLE),
        lambda: AddConstraint("book", "title"),  # type: ignore[arg-type]
        lambda: CreateIndex("book", "title"),  # type: ignore[arg-type]
        lambda: CreateIndex("book", Index()),
        lambda: AlterColumn("book", TITLE, old=KEY),
        lambda: RunSQL(7),  # type: ignore[arg-type]
        lambda: RunPython("f"),  # type: ignore[arg-type]
        lambda: table("book", ["title"]),  # type: ignore[list-item]
        lambda: table("book", [TITLE], indexes=[Index("titel")]),
        lambda: table("book", [TITLE], constraints=[References(["a", "b"], "author")]),
        lambda: table("book", [TITLE], constraints=[References("title", "a", on_delete="EXPLODE")]),
        lambda: table("book", [TITLE], constraints=[References("title", "a", on_update="EXPLODE")]),
    ]
    for make in wrong:
        with pytest.raises(MigrationError):
            make()


def test_a_checksum_tells_what_a_migration_does_and_nothing_else() -> None:
    class Poem(Model):
        id: Field[int] = field(primary_key=True)
        title: Field[str] = field(max_length=20, default="x")

    made = table("poem", [KEY, TITLE])
    assert Migration("1", [CreateTable(Poem)]).checksum == Migration("2", [CreateTable(made)]).checksum
    assert Migration("1", ["SELECT 1;"]).checksum == Migration("1", ["SELECT /* one */ 1 ;"]).checksum
    different = [
        Migration("1", operations).checksum
        for operations in (
            [CreateTable(made)],
            [DropTable(made)],
            [CreateTable(table("poem", [KEY, TableColumn("title", String(21))]))],
            [CreateTable(table("poem", [KEY, TITLE], constraints=[Unique("title")]))],
            [CreateTable(table("poem", [KEY, TITLE], constraints=[Check("title > 'a'")]))],
            [CreateTable(table("poem", [KEY, TITLE], constraints=[Check("title > 'b'", name="ck_poem")]))],
            ["SELECT ' 1'"],
            ["SELECT '1'"],
            [],
        )
    ]
    assert len({*different}) == len(different)
    # Written down once: another value would refuse every migration that is applied anywhere.
    assert INITIAL.checksum == "4f27a275869631645cac41451af2c6e5fb684483333b424e933e075e59cfec3d"


def test_an_interrupt_leaves_nothing_of_a_migration(tmp_path: Path) -> None:
    def interrupt(run: Any) -> Any:
        yield run("INSERT INTO book (title) VALUES ('Emma')")
        raise KeyboardInterrupt

    with Engine(f"sqlite:///{tmp_path / 'test.db'}") as engine:
        migrating = MigrationEngine(engine, [INITIAL])
        migrating.apply()
        with pytest.raises(KeyboardInterrupt):
            migrating.apply([INITIAL, Migration("02", [RunPython(interrupt)])])
        assert engine.pool_stats().in_use == 0
        assert migrating.applied() == ["0001_initial"]
        assert migrating.apply([INITIAL, Migration("02", ["INSERT INTO book (title) VALUES ('a')"])]) == [
            "02"
        ]
        with engine.connection() as connection:
            assert connection.execute("SELECT title FROM book").rows == [("a",)]


@pytest.mark.requirement("R84")
async def test_what_the_commit_refuses_is_told_like_everything_else(db: Twin) -> None:
    columns = [KEY, TableColumn("other_id", Integer())]
    late = table("late", columns, constraints=[References("other_id", "late", deferrable=True)])
    orphan = Migration("02", ["INSERT INTO late VALUES (1, 7)"])
    with pytest.raises(MigrationError, match="'02' could not be committed, and nothing of it was kept"):
        await db.apply([Migration("01", [CreateTable(late)]), orphan])
    assert await db.applied() == ["01"]
    assert db.rows("SELECT * FROM late") == []


async def test_values_of_every_type_may_be_given_to_statements(db: Twin) -> None:
    day = date(2024, 2, 29)

    def fill(run: Any) -> Any:
        yield run("INSERT INTO day VALUES (%s)", [day])
        assert (yield run("SELECT count(*) FROM day WHERE day = ?", [day])).rows == [(1,)]

    days = table("day", [TableColumn("day", Date())])
    assert await db.apply([Migration("01", [CreateTable(days), RunPython(fill)])]) == ["01"]


async def test_a_text_may_hold_many_statements_and_a_trigger_with_its_own(db: Twin) -> None:
    text = """
        -- what happened; and when
        CREATE TABLE log (line TEXT DEFAULT ';');
        CREATE TRIGGER note AFTER INSERT ON book BEGIN
            INSERT INTO log VALUES (CASE new.title WHEN 'Emma' THEN 'E;' ELSE new.title END);
            UPDATE log SET line = line || '!';
        END;
        INSERT INTO book (title) VALUES ('Emma'); /* the end; */
    """
    assert await db.apply([INITIAL, Migration("02", [text])]) == ["0001_initial", "02"]
    assert db.rows("SELECT * FROM log") == [("E;!",)]
    assert (await db.history())[1].steps == 3


def test_migrations_are_applied_to_an_engine() -> None:
    with pytest.raises(ConfigurationError, match="to an Engine, not to a str"):
        MigrationEngine("sqlite://")  # type: ignore[arg-type]


TYPES = [Integer(), String(), String(9), Date(), Boolean()]


class Guess:
    """Draw operations that fit the tables which the ones before have left."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.tables: dict[str, list[TableColumn]] = {}
        self.serial = 0

    def name(self) -> str:
        self.serial += 1
        return f"n{self.serial}"

    def pick(self, items: Any) -> Any:
        return self.data.draw(st.sampled_from(list(items)))

    def column(self) -> TableColumn:
        nullable, unique, index = (self.data.draw(st.booleans()) for _ in range(3))
        return TableColumn(
            self.name(),
            self.pick(TYPES),
            nullable=nullable,
            unique=unique,
            index=index,
            server_default=self.pick([None, "1", "'x'", "1 + 1"]),
        )

    def operation(self) -> Any:
        name = self.pick(self.tables) if self.tables else None
        kinds = (
            ["table"] if name is None else ["table", "column", "alter", "rename", "retable", "check", "index"]
        )
        kind = self.pick(kinds)
        if kind == "table" or name is None:
            name = self.name()
            self.tables[name] = [self.column(), self.column()]
            return CreateTable(table(name, [KEY, *self.tables[name]]))
        if kind == "retable":
            new = self.name()
            self.tables[new] = self.tables.pop(name)
            return RenameTable(name, new)
        columns = self.tables[name]
        place = self.pick(range(len(columns)))
        if kind == "column":
            columns.append(self.column())
            return AddColumn(name, columns[-1])
        if kind == "alter":
            old = columns[place]
            columns[place] = TableColumn(
                old.name, self.pick(TYPES), nullable=not old.nullable, unique=old.unique, index=old.index
            )
            return AlterColumn(name, columns[place], old=old)
        if kind == "rename":
            old, new = columns[place].name, self.name()
            columns[place] = copy_column(columns[place])
            columns[place].name = new
            return RenameColumn(name, old, new)
        if kind == "check":
            return AddConstraint(name, Check(f"{columns[place].name} <> 'no'", name=self.name()))
        return CreateIndex(name, Index(f"-{columns[place].name}", name=self.name(), where="id > 3"))


@pytest.mark.requirement("R84", "R86")
@settings(max_examples=25)
@given(st.data())
def test_whatever_is_done_can_be_taken_back_and_done_again(data: st.DataObject) -> None:
    guess = Guess(data)
    size = data.draw(st.integers(1, 6))
    with Engine("sqlite://") as engine:
        twin = Twin(engine, False)
        migrating = MigrationEngine(engine)
        migrations, states = [], [twin.schema]
        for number in range(size):
            migrations.append(Migration(f"{number}", [guess.operation() for _ in range(2)]))
            migrating.apply(migrations, confirm_destructive=True)
            states.append(twin.schema)
        for number in reversed(range(size)):
            migrating.rollback(confirm_destructive=True)
            assert normal(twin.schema) == normal(states[number])
        migrating.apply(confirm_destructive=True)
        assert normal(twin.schema) == normal(states[-1])


@pytest.mark.requirement("R85")
def test_an_index_over_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with Engine(f"sqlite:///{tmp_path / 'index.db'}") as engine:
        first = Migration("1", ["CREATE TABLE t (id int, name text)"])
        wrong = Migration("2", [CreateIndex("t", Index("id", "nmae", unique=True))])
        with pytest.raises(MigrationError, match=r"'2' failed at step 1 of 1, nothing of it was kept.*nmae"):
            MigrationEngine(engine).apply([first, wrong])
        right = Migration("2", [CreateIndex("t", Index("id", "name", unique=True))])
        assert MigrationEngine(engine).apply([first, right]) == ["2"]
