"""What operations become in SQL, on the standard and through the words that a dialect may change."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import Check, Field, Index, ModelError, SchemaBuilder, Unique, field, sql
from blaze.core.model import ModelBase as Model
from blaze.dialects.changes import AlteredColumn, DroppedConstraint, TableChange
from blaze.dialects.dialect import Dialect
from blaze.dialects.types import DateTime, Integer, Numeric, String
from blaze.errors import CapabilityError, MigrationError
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
    Operation,
    References,
    RenameColumn,
    RenameTable,
    RunPython,
    RunSQL,
    TableColumn,
    table,
)
from blaze_sqlite import SQLiteDialect
from tests.schema.dialects import RICH, ansi

KEY = TableColumn("id", Integer(), primary_key=True, identity=True)
TITLE = TableColumn("title", String(20))
BUILDER = SchemaBuilder(RICH)


def texts(operation: Operation, builder: SchemaBuilder = BUILDER) -> list[str]:
    return [step.text for step in operation.steps(builder)]


def added(**options: Any) -> list[str]:
    return texts(AddColumn("book", TableColumn("pages", Integer(), nullable=True, **options)))


@pytest.mark.requirement("R84", "R86")
def test_columns() -> None:
    assert added() == ['ALTER TABLE "book" ADD COLUMN "pages" BIGINT']
    assert added(server_default="1", check="pages > 0", unique=True, index=True, comment="all of them") == [
        'ALTER TABLE "book" ADD COLUMN "pages" BIGINT DEFAULT (1)',
        'ALTER TABLE "book" ADD CONSTRAINT "uq_book_pages" UNIQUE ("pages")',
        'ALTER TABLE "book" ADD CONSTRAINT "ck_book_pages" CHECK (pages > 0)',
        'CREATE INDEX "ix_book_pages" ON "book" ("pages")',
        'COMMENT ON COLUMN "book"."pages" IS \'all of them\'',
    ]
    assert texts(DropColumn("book", "pages", schema="shop")) == [
        'ALTER TABLE "shop"."book" DROP COLUMN "pages"'
    ]
    assert texts(RenameColumn("book", "title", 'a"b')) == [
        'ALTER TABLE "book" RENAME COLUMN "title" TO "a""b"'
    ]
    assert texts(RenameTable("book", "volume", schema="shop")) == [
        'ALTER TABLE "shop"."book" RENAME TO "volume"'
    ]


@pytest.mark.requirement("R84", "R86")
@pytest.mark.parametrize(
    ("old", "new", "actions"),
    [
        (TITLE, TableColumn("title", String(20)), []),
        (TITLE, TableColumn("title", String(30)), ["SET DATA TYPE VARCHAR(30)"]),
        (TITLE, TableColumn("title", String(20), nullable=True), ["DROP NOT NULL"]),
        (TableColumn("title", String(20), nullable=True), TITLE, ["SET NOT NULL"]),
        (TITLE, TableColumn("title", String(20), server_default="'x'"), ["SET DEFAULT ('x')"]),
        (TableColumn("title", String(20), server_default="'x'"), TITLE, ["DROP DEFAULT"]),
        (
            TableColumn("title", String(20), server_default="'1'"),
            TableColumn("title", Integer(), server_default="1", nullable=True),
            ["DROP DEFAULT", "SET DATA TYPE BIGINT", "SET DEFAULT (1)", "DROP NOT NULL"],
        ),
        (None, TITLE, ["DROP DEFAULT", "SET DATA TYPE VARCHAR(20)", "SET NOT NULL"]),
    ],
)
def test_a_column_is_altered_where_it_differs(
    old: Optional[TableColumn], new: TableColumn, actions: list[str]
) -> None:
    assert texts(AlterColumn("book", new, old=old)) == [
        f'ALTER TABLE "book" ALTER COLUMN "title" {action}' for action in actions
    ]


def test_a_new_value_may_be_said() -> None:
    wide = AlterColumn("book", TableColumn("title", Integer()), old=TITLE, using="length(title)")
    assert texts(wide) == ['ALTER TABLE "book" ALTER COLUMN "title" SET DATA TYPE BIGINT USING length(title)']
    assert wide.inverse() is None


@pytest.mark.requirement("R84", "R86")
def test_constraints_and_indexes() -> None:
    reference = References(["a", "b"], "author", ["x", "y"], "SET NULL", True, "shop", "to_author")
    assert texts(AddConstraint("book", reference)) == [
        'ALTER TABLE "book" ADD CONSTRAINT "to_author" FOREIGN KEY ("a", "b")'
        ' REFERENCES "shop"."author" ("x", "y") ON DELETE SET NULL ON UPDATE CASCADE'
        " DEFERRABLE INITIALLY DEFERRED"
    ]
    assert texts(AddConstraint("book", References("a", "author", on_update="NO ACTION"))) == [
        'ALTER TABLE "book" ADD CONSTRAINT "fk_book_a" FOREIGN KEY ("a") REFERENCES "author" ("id")'
    ]
    assert texts(AddConstraint("book", Unique("title", name="once"))) == [
        'ALTER TABLE "book" ADD CONSTRAINT "once" UNIQUE ("title")'
    ]
    assert texts(DropConstraint("book", Check("pages > 0"))) == [
        'ALTER TABLE "book" DROP CONSTRAINT "ck_book_pages_0"'
    ]
    index = Index("-price", sql("lower(title)"), unique=True, where="price > 0")
    assert texts(CreateIndex("book", index)) == [
        'CREATE UNIQUE INDEX "ix_book_price_desc_lower_title" ON "book" ("price" DESC, (lower(title)))'
        " WHERE price > 0"
    ]
    assert texts(DropIndex("book", index, schema="shop")) == [
        'DROP INDEX "shop"."ix_book_price_desc_lower_title"'
    ]


def test_indexes_of_models_may_be_descending_and_over_expressions() -> None:
    class Novel(Model):
        id: Field[int] = field(primary_key=True)
        title: Field[str]
        price: Field[int]

        class Meta:
            indexes = [Index("-price", "title"), Index(sql("lower(title)"), name="by_title", unique=True)]

    expected = [
        'CREATE INDEX "ix_novel_price_desc_title" ON "novel" ("price" DESC, "title")',
        'CREATE UNIQUE INDEX "by_title" ON "novel" ((lower(title)))',
    ]
    assert SchemaBuilder(SQLiteDialect()).index_sql(Novel) == expected
    with pytest.raises(
        CapabilityError, match=r"Novel: ansi has no indexes over expressions, which 'by_title' is"
    ):
        SchemaBuilder(ansi()).index_sql(Novel)

    class Wrong(Model):
        id: Field[int] = field(primary_key=True)

        class Meta:
            indexes = [Index(sql("id + {one}", one=1))]

    with pytest.raises(ModelError, match="the expression of an index holds values"):
        SchemaBuilder(SQLiteDialect()).index_sql(Wrong)


def test_tables_written_out_find_each_other() -> None:
    author = table("author", [KEY], comment="Who writes", schema="shop")
    book = table(
        "book", [KEY, TableColumn("author_id", Integer())],
        constraints=[References("author_id", "author", schema="shop")], schema="shop",
    )  # fmt: skip
    created = texts(CreateTable(book, author))
    assert [each.split(" (")[0] for each in created] == [
        'CREATE TABLE "shop"."author"',
        'CREATE TABLE "shop"."book"',
        'COMMENT ON TABLE "shop"."author" IS \'Who writes\'',
    ]
    assert texts(DropTable(book, author)) == ['DROP TABLE "shop"."book"', 'DROP TABLE "shop"."author"']
    assert texts(DropTable("book", schema="shop")) == ['DROP TABLE "shop"."book"']
    keyless = texts(CreateTable(table("log", [TableColumn("line", String())])))
    assert keyless == ['CREATE TABLE "log" (\n  "line" TEXT NOT NULL\n)']


@pytest.mark.requirement("R85")
@pytest.mark.parametrize(
    "operation",
    [
        CreateTable(table("book", [KEY, TITLE])),
        DropTable(table("book", [KEY, TITLE])),
        RenameTable("book", "volume"),
        AddColumn("book", TITLE),
        DropColumn("book", TITLE),
        AlterColumn("book", TITLE, old=TableColumn("title", String(9), nullable=True)),
        RenameColumn("book", "title", "heading"),
        CreateIndex("book", Index("title")),
        DropIndex("book", Index("title")),
        AddConstraint("book", Unique("title")),
        DropConstraint("book", Check("title > ''")),
        RunSQL("SELECT 1", rollback="SELECT 2"),
        RunPython(print, rollback=input),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_the_inverse_of_the_inverse_is_the_operation(operation: Operation) -> None:
    inverse = operation.inverse()
    assert inverse is not None
    again = inverse.inverse()
    assert again is not None
    assert texts(inverse) != texts(operation)
    assert (type(again), texts(again)) == (type(operation), texts(operation))


@pytest.mark.parametrize(
    "operation",
    [
        DropTable("book"),
        DropColumn("book", "title"),
        AlterColumn("book", TITLE),
        DropIndex("book", "ix"),
        DropConstraint("book", "uq"),
        RunSQL("SELECT 1"),
        RunPython(print),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_what_is_not_told_has_no_inverse(operation: Operation) -> None:
    assert operation.inverse() is None


class OtherWords(Dialect):
    """A dialect that alters in its own way."""

    def alter_table(self, table: str, change: TableChange) -> Optional[list[str]]:
        if isinstance(change, AlteredColumn):
            return [f"ALTER TABLE {table} MODIFY COLUMN {change.definition}"]
        if isinstance(change, DroppedConstraint) and change.kind == "FOREIGN KEY":
            return [f"ALTER TABLE {table} DROP FOREIGN KEY {self.quote(change.name)}"]
        return super().alter_table(table, change)

    def drop_index(self, table: str, index: str) -> str:
        return f"DROP INDEX {index} ON {table}"


@pytest.mark.requirement("R86")
def test_a_dialect_has_its_own_words() -> None:
    builder = SchemaBuilder(OtherWords())
    price = TableColumn("price", Numeric(10, 2), server_default="'0'")
    assert texts(AlterColumn("book", price), builder) == [
        'ALTER TABLE "book" MODIFY COLUMN "price" NUMERIC(10, 2) NOT NULL DEFAULT (\'0\')'
    ]
    assert texts(DropConstraint("book", References("a", "b")), builder) == [
        'ALTER TABLE "book" DROP FOREIGN KEY "fk_book_a"'
    ]
    assert texts(DropConstraint("book", Unique("a")), builder) == [
        'ALTER TABLE "book" DROP CONSTRAINT "uq_book_a"'
    ]
    assert texts(DropIndex("book", "ix"), builder) == ['DROP INDEX "ix" ON "book"']


def test_the_present_moment_is_written_as_the_column_stores_it() -> None:
    column = TableColumn("made", DateTime(), server_default="CURRENT_TIMESTAMP")
    assert "strftime" in str(AddColumn("book", column).steps(SchemaBuilder(SQLiteDialect())))


def test_a_dialect_without_rebuilds_says_so() -> None:
    with pytest.raises(CapabilityError, match="ansi rebuilds no tables"):
        ansi().rebuilder()
    with pytest.raises(MigrationError, match="no name of a table"):
        DropColumn(None, "title")  # type: ignore[arg-type]


@pytest.mark.requirement("R84", "R86")
def test_rows_do_not_follow_a_key_where_the_database_refuses_the_rule() -> None:
    columns = [TableColumn(name, Integer()) for name in ("a", "b", "c")]
    columns.append(TableColumn("d", Integer(), generated="c + 1"))
    keys = [References(name, "author") for name in "abcd"]
    made = CreateTable(table("book", columns, constraints=[Check("a > 0"), *keys]))
    careful = SchemaBuilder(ansi(update_rules_beside_checks=False))
    for builder, following in ((BUILDER, "abc"), (careful, "b")):
        (text,) = texts(made, builder)
        found = [line[22] for line in text.splitlines() if "ON UPDATE CASCADE" in line]
        assert "".join(found) == following, text
