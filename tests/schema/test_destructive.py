"""What loses data is recognised, however it is written."""

from __future__ import annotations

import enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blaze.dialects import types as t
from blaze.dialects.features import Lexis
from blaze.schema.destructive import destruction, narrows
from blaze.sql.tokens import split_statements, tokenize

MYSQL = Lexis(backslash_escapes=True, hash_comments=True, spaced_dashes=True)
POSTGRES = Lexis(nested_comments=True, dollar_quotes=True)
SQLITE = Lexis(bracket_names=True)

DESTRUCTIVE = [
    "DROP TABLE book",
    "drop index ix",
    "DrOp\n\tVIEW v",
    "-- harmless\nDROP TABLE book",
    "/* harmless */ DROP TABLE book",
    "SELECT 1; DROP TABLE book",
    "/*!50000 DROP TABLE book */",
    "/*M!100100 TRUNCATE book */",
    "TRUNCATE book",
    "TRUNCATE TABLE book CASCADE",
    "DELETE FROM book",
    "DELETE FROM book RETURNING id",
    "DELETE FROM book -- WHERE id = 1",
    "DELETE FROM book /* WHERE id = 1 */",
    "DELETE FROM book WHERE TRUE",
    "DELETE FROM book WHERE 1 = 1",
    "DELETE FROM book WHERE (1 = 1)",
    "DELETE FROM book WHERE 1 = 1 OR id = 3",
    "DELETE FROM book WHERE id = 3 OR 1 = 1",
    "DELETE FROM book WHERE id = 3 OR id = id",
    "DELETE FROM book WHERE book.id = id",
    "DELETE FROM book WHERE id IS id",
    "DELETE FROM book WHERE book.id = book.id",
    "DELETE FROM book WHERE id = book.id",
    "DELETE FROM book WHERE EXISTS (SELECT 1)",
    "\ufeffDROP TABLE book",
    "SELECT 1;\n\ufeffALTER TABLE book DROP COLUMN price",
    'DELETE FROM "where"',
    "DELETE FROM book USING (SELECT 1 FROM tag WHERE id = 1) found",
    "WITH old AS (SELECT 1 WHERE 1 = 2) DELETE FROM book",
    "WITH gone AS (DELETE FROM book RETURNING *) SELECT * FROM gone WHERE id = 1",
    "EXPLAIN ANALYZE DELETE FROM book",
    "ALTER TABLE book DROP COLUMN title",
    "ALTER TABLE book DROP title",
    "ALTER TABLE book ADD COLUMN pages INT, DROP COLUMN title",
    "ALTER TABLE ONLY shop.book DROP CONSTRAINT pk",
    'ALTER TABLE "shop"."book" ALTER COLUMN "title" TYPE VARCHAR(10)',
    "ALTER TABLE book ALTER title SET DATA TYPE VARCHAR(10)",
    "ALTER TABLE book MODIFY title VARCHAR(10)",
    "ALTER TABLE book CHANGE title name VARCHAR(10)",
    "ALTER TABLE book TRUNCATE PARTITION p",
    "ALTER TYPE colour DROP ATTRIBUTE red",
    "CREATE OR REPLACE TABLE book (id INT)",
    "MERGE INTO book USING new ON book.id = new.id WHEN MATCHED THEN DELETE",
    "EXECUTE something",
]
HARMLESS = [
    "",
    " ; -- nothing",
    "SELECT 'DROP TABLE book'",
    "-- DROP TABLE book",
    "/* DROP TABLE book */ SELECT 1",
    'CREATE TABLE "drop" ("truncate" INT)',
    "INSERT INTO note (text) VALUES ('; DROP TABLE book')",
    "INSERT INTO note (text) VALUES ('it''s; DROP TABLE book')",
    "DELETE FROM book WHERE id = 1",
    "DELETE FROM book WHERE (id = 1)",
    "DELETE FROM book USING tag WHERE book.id = tag.id",
    "DELETE FROM book WHERE id = 1 OR price = 2 OR title IS NULL",
    "DELETE FROM book WHERE EXISTS (SELECT 1 FROM tag WHERE tag.id = book.id)",
    "WITH old AS (SELECT id FROM book) DELETE FROM book WHERE id IN (SELECT id FROM old)",
    "WITH gone AS (DELETE FROM book WHERE id = 1 RETURNING *) SELECT * FROM gone",
    "ALTER TABLE book ADD COLUMN type TEXT",
    "ALTER TABLE book ADD COLUMN a INT, ADD COLUMN type TEXT",
    "ALTER TABLE book ADD FOREIGN KEY (a) REFERENCES author (id) ON DELETE CASCADE",
    "ALTER TABLE book RENAME TO volume",
    "ALTER TABLE book ALTER COLUMN title SET NOT NULL",
    "ALTER TABLE book ALTER COLUMN title SET DEFAULT 'drop'",
    "CREATE INDEX ix ON book (title)",
    "CREATE TRIGGER log AFTER DELETE ON book BEGIN DELETE FROM note; END",
    "CREATE OR REPLACE VIEW v AS SELECT 1",
    "UPDATE book SET title = ''",
    "REPLACE INTO book VALUES (1)",
]


@pytest.mark.requirement("R85", "R87")
@pytest.mark.parametrize("sql", DESTRUCTIVE)
def test_what_loses_data_is_recognised(sql: str) -> None:
    assert destruction(sql)


@pytest.mark.requirement("R85")
@pytest.mark.parametrize("sql", HARMLESS)
def test_what_loses_nothing_needs_no_confirmation(sql: str) -> None:
    assert destruction(sql) is None


@pytest.mark.parametrize(
    ("sql", "lexis", "loses"),
    [
        (r"SELECT '\'; DROP TABLE book; --'", POSTGRES, True),
        (r"SELECT '\'; DROP TABLE book; -- '", MYSQL, False),
        (r"SELECT E'\'; DROP TABLE book; --'", POSTGRES, False),
        ("DELETE FROM book # WHERE id = 1", MYSQL, True),
        ("DELETE FROM book WHERE id # 1 = 2", POSTGRES, False),
        ("SELECT 1 --1; DROP TABLE book", MYSQL, True),
        ("SELECT 1 --1; DROP TABLE book", POSTGRES, False),
        ("/* /* */ DROP TABLE book */", POSTGRES, False),
        ("/* /* */ DROP TABLE book", SQLITE, True),
        ("SELECT $$; DROP TABLE book; $$", POSTGRES, False),
        ("SELECT $a$ $$; DROP TABLE book; $a$", POSTGRES, False),
        ("DO $$ BEGIN DROP TABLE book; END $$", POSTGRES, True),
        ("DO $$ BEGIN ALTER TABLE book DROP title; END $$", POSTGRES, True),
        ("DO $x$ BEGIN DELETE FROM book; END $x$", POSTGRES, True),
        ("DO $$ BEGIN EXECUTE 'DR' || 'OP TABLE book'; END $$", POSTGRES, True),
        ("DO $$ BEGIN UPDATE book SET title = ''; END $$", POSTGRES, False),
        ("CREATE TABLE [drop table] (a); SELECT [;DROP TABLE book]", SQLITE, False),
    ],
)
def test_text_is_read_as_the_database_reads_it(sql: str, lexis: Lexis, loses: bool) -> None:
    assert bool(destruction(sql, lexis)) is loses


# Between two tokens nothing that stands there may change the verdict.
gaps = st.lists(
    st.sampled_from([" ", "\n", "\t", "/* DROP */", "-- WHERE\n", "/* ' */", '-- "\n', "/**/"]), min_size=1
).map(lambda parts: f" {''.join(parts)} ")


@given(st.sampled_from([*DESTRUCTIVE, *HARMLESS]), st.data())
def test_case_space_and_comments_do_not_matter(sql: str, data: st.DataObject) -> None:
    expected = destruction(sql) is not None
    pieces = []
    for token in tokenize(sql):
        text = token.text
        if token.kind == "word":
            text = data.draw(st.sampled_from([text.lower(), text.upper(), text.capitalize()]))
        pieces += [data.draw(gaps), text]
    assert (destruction("".join([*pieces, data.draw(gaps)])) is not None) is expected


@given(st.text(), st.sampled_from(["'", '"', "`"]))
def test_what_is_quoted_is_never_a_command(text: str, quote: str) -> None:
    quoted = f"{quote}{text.replace(quote, quote * 2)} DROP TABLE book{quote}"
    assert destruction(f"SELECT {quoted}; SELECT 1") is None
    assert destruction(f"SELECT {quoted}; DROP TABLE book") is not None
    assert split_statements(f"SELECT {quoted};SELECT 1") == [f"SELECT {quoted}", "SELECT 1"]


@given(st.text(alphabet="'\"`$-/*!#;[]() \nabDROP\\"), st.sampled_from([MYSQL, POSTGRES, SQLITE, Lexis()]))
def test_any_text_can_be_read(text: str, lexis: Lexis) -> None:
    destruction(text, lexis)
    assert all(each.strip() == each and each for each in split_statements(text, lexis))


def test_statements_are_split_outside_of_bodies() -> None:
    trigger = "CREATE TRIGGER t AFTER DELETE ON a BEGIN DELETE FROM b; SELECT CASE WHEN 1 THEN 2 END; END"
    assert split_statements(f"{trigger}; SELECT 1;; -- end\n;") == [trigger, "SELECT 1"]
    procedure = (
        "CREATE PROCEDURE p() BEGIN IF 1 THEN SELECT 1; END IF; CASE 1 WHEN 1 THEN SELECT 2; END CASE;"
        " WHILE 1 DO SELECT 3; END WHILE; END"
    )
    assert split_statements(f"{procedure}; SELECT ';'", MYSQL) == [procedure, "SELECT ';'"]
    function = "CREATE FUNCTION f() RETURNS int AS $f$ BEGIN RETURN 1; END; $f$ LANGUAGE plpgsql"
    assert split_statements(f"{function};SELECT 1", POSTGRES) == [function, "SELECT 1"]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class OldColour(enum.Enum):
    RED = "red"


@pytest.mark.requirement("R85", "R87")
@pytest.mark.parametrize(
    ("old", "new", "loses"),
    [
        (t.String(20), t.String(20), False),
        (t.String(20), t.String(30), False),
        (t.String(20), t.String(), False),
        (t.String(20), t.String(10), True),
        (t.String(), t.String(10), True),
        (t.Integer(), t.String(), False),
        (t.Integer(), t.String(19), True),
        (t.Integer(), t.Numeric(19, 0), False),
        (t.Integer(), t.Numeric(20, 2), True),
        (t.Integer(), t.Boolean(), True),
        (t.Boolean(), t.Integer(), False),
        (t.Numeric(10, 2), t.Numeric(12, 4), False),
        (t.Numeric(10, 2), t.Numeric(12, 1), True),
        (t.Numeric(10, 2), t.Numeric(10, 4), True),
        (t.Numeric(10, 2), t.Numeric(), False),
        (t.Numeric(), t.Numeric(10, 2), True),
        (t.Numeric(10, 2), t.Float(), True),
        (t.DateTime(), t.Date(), True),
        (t.Binary(), t.String(), True),
        (t.Json(), t.String(), False),
        (t.Enum(Colour), t.String(4), False),
        (t.Enum(Colour), t.String(3), True),
        (t.Enum(OldColour), t.Enum(Colour), False),
        (t.Enum(Colour), t.Enum(OldColour), True),
    ],
)
def test_a_type_is_narrower_when_a_value_may_not_fit(old: t.SQLType, new: t.SQLType, loses: bool) -> None:
    assert narrows(old, new) is loses


def test_a_byte_order_mark_hides_no_end_of_the_transaction() -> None:
    from blaze import Engine, Migration, MigrationEngine, Session
    from blaze.errors import MigrationError, SessionError

    with Engine("sqlite://") as engine:
        with pytest.raises(MigrationError, match="COMMIT"):
            MigrationEngine(engine).apply([Migration("0001", ["\ufeffCOMMIT"])])
        with Session(engine) as session, pytest.raises(SessionError, match="COMMIT is the session's"):
            session.execute("\ufeffCOMMIT")
