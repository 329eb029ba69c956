"""A model over a view: queries and relations as with a table, and no writes."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import (
    Delete,
    Field,
    ForeignKey,
    Insert,
    Model,
    OneToMany,
    OneToOne,
    Update,
    create_all,
    drop_all,
    field,
    foreign_key,
    one_to_many,
    one_to_one,
)
from blaze.errors import ModelError
from tests.persistence.twins import Database, names

pytestmark = pytest.mark.requirement("R51")


class Writer(Model):
    name: Field[str]


class Total(Model):
    """Writers with the number of their texts."""

    id: Field[int] = field(primary_key=True)
    count: Field[int]
    writer: OneToOne[Writer] = one_to_one(related_name="total")
    texts: OneToMany[Text] = one_to_many()

    class Meta:
        view = True
        table = "writer_total"


class Text(Model):
    name: Field[str]
    writer: ForeignKey[Writer] = foreign_key(related_name="texts")
    total: ForeignKey[Total] = foreign_key(related_name="texts", column="total_of")


class Bare(Model):
    """A view without relations."""

    id: Field[int] = field(primary_key=True)
    count: Field[int]

    class Meta:
        view = True
        table = "writer_total"


VIEW = (
    "CREATE VIEW writer_total AS SELECT w.id, w.id AS writer_id, count(t.id) AS count "
    "FROM writer w LEFT JOIN text t ON t.writer_id = w.id GROUP BY w.id"
)


@pytest.fixture
async def db(db: Database) -> Database:
    create_all(db.engine, [Writer, Total, Text])
    async with db.session() as s:
        assert await s.scalar("SELECT count(*) FROM sqlite_master WHERE name = 'writer_total'") == 0
        await s.execute(VIEW)
        ann, bob = Writer(name="ann"), Writer(name="bob")
        await s.add_all([ann, bob])
        await s.flush()
        await s.add_all([Text(name=n, writer=ann, total_id=ann.id) for n in ("a", "b")])
        await s.commit()
    return db


async def test_a_view_is_read_like_a_table(db: Database) -> None:
    async with db.session() as s:
        total = await s.get_one(Total, 1)
        assert (total.count, (await s.read(total, "writer")).name) == (2, "ann")
        assert names(await s.read(total, "texts")) == ["a", "b"]
        assert [t.count for t in await s.all(Total, Total.writer.name == "bob")] == [0]
        writers = await s.do(lambda q: q.query(Writer).include(Writer.total).order_by(Writer.name).all())
        assert [w.total.count for w in writers] == [2, 0]
        assert names(await s.all(Text, Text.total.count == 2)) == ["a", "b"]
        texts = await s.do(lambda q: q.query(Text).select_related(Text.total).all())
        assert {t.total.count for t in texts} == {2}
        assert await s.do(lambda q: q.query(Total).where(Total.count > 0).count()) == 1


async def test_every_write_to_a_view_is_refused(db: Database) -> None:
    async with db.session() as s:
        total = await s.get_one(Total, 1)
        new: Any = Total(id=9, count=1, writer_id=1)
        row = s.session.query(Total).where(Total.id == 1)
        before = s.statements
        for write in (
            lambda: s.add(new),
            lambda: s.add_all([new]),
            lambda: s.delete(total),
            lambda: s.bulk_insert([new]),
            lambda: s.bulk_update([new]),
            lambda: s.bulk_delete(Total, [1]),
            lambda: s.upsert([new], conflict=["id"], update=["count"]),
            lambda: s.do(lambda q: row.update(count=5)),
            lambda: s.do(lambda q: row.delete()),
            lambda: s.exec(Insert(Total).values(id=9, count=1, writer_id=1)),
            lambda: s.exec(Update(Total).set(count=1).all_rows()),
            lambda: s.exec(Delete(Total).all_rows()),
        ):
            with pytest.raises(ModelError, match="Total is a view and read-only"):
                await write()
        assert s.statements == before
        total.count = 7
        with pytest.raises(ModelError, match="Total is a view and read-only"):
            await s.flush()
        await s.rollback()
        assert total.count == 2


async def test_a_changed_view_without_relations_is_refused_and_restored(db: Database) -> None:
    async with db.session() as s:
        bare = await s.get_one(Bare, 1)
        bare.count = 7
        for _ in range(2):
            before = s.statements
            with pytest.raises(ModelError, match="Bare is a view and read-only"):
                await s.commit()
            assert s.statements == before
        await s.rollback()
        assert bare.count == 2
        await s.commit()


async def test_dropping_leaves_views_alone(db: Database) -> None:
    async with db.session() as s:
        await s.execute("CREATE VIEW kept AS SELECT 1 AS one")
        await s.commit()
    drop_all(db.engine, [Text, Total, Writer])
    assert (
        await db.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        == []
    )
    assert await db.rows("SELECT * FROM kept") == [(1,)]
