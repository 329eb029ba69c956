"""MySQL 8 by its declared capabilities and its SQL text: the server that runs here is MariaDB."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

import pytest

from blaze import (
    AsyncSession,
    CapabilityError,
    Engine,
    Field,
    ForeignKey,
    Insert,
    Model,
    Select,
    Session,
    create_all,
    drop_all,
    excluded,
    field,
    foreign_key,
    func,
)
from blaze.adapters.config import ConnectionConfig
from blaze.core.codec import ModelCodec
from blaze.schema import SchemaBuilder
from blaze_mysql import MySQLDialect
from blaze_mysql.opening import set_up_text
from tests.support.loops import run


class Shop(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=50, unique=True)
    rank: Field[int] = field(default=0)

    class Meta:
        table = "mysql8_shop"


class Sale(Model):
    id: Field[int] = field(primary_key=True)
    shop: ForeignKey[Optional[Shop]] = foreign_key(related_name="sales")
    words: Field[dict[str, Any]] = field(default_factory=dict)

    class Meta:
        table = "mysql8_sale"


def dialect(version: str) -> MySQLDialect:
    return MySQLDialect(version=version)


def text(query: Any, version: str) -> str:
    return str(query.to_sql(dialect(version))[0])


@pytest.mark.parametrize(
    ("version", "declared", "missing"),
    [
        ("8.4.0", "skip_locked nowait for_update_of lateral intersect_except row_batches generated_not_null",
         "returning delete_returning consecutive_keys full_join nulls_order"),
        ("8.0.30", "skip_locked lateral row_batches", "intersect_except returning"),
        ("8.0.18", "skip_locked lateral", "row_batches intersect_except"),
        ("10.11.6-MariaDB", "returning delete_returning skip_locked nowait row_batches intersect_except",
         "lateral for_update_of generated_not_null"),
        ("5.5.5-10.5.20-MariaDB-log", "returning nowait row_batches", "skip_locked lateral"),
        ("10.4.30-MariaDB", "nowait row_batches", "returning skip_locked"),
    ],
)  # fmt: skip
def test_capabilities(version: str, declared: str, missing: str) -> None:
    features = dialect(version).features
    assert [name for name in declared.split() if not getattr(features, name)] == []
    assert [name for name in missing.split() if getattr(features, name)] == []


def test_the_dsn_tells_the_version_without_a_connection() -> None:
    with Engine("mysql://nobody@127.0.0.1:1/none?server_version=8.4.0") as engine:
        assert engine.dialect.features.lateral
        assert not engine.dialect.features.returning
        statement = Insert(Shop).values(name="a").returning(Shop.id)
        with Session(engine) as session, pytest.raises(CapabilityError, match="RETURNING"):
            session.exec(statement)


def compiled(statement: Any, version: str) -> str:
    known = dialect(version)
    return str(known.compiler(known).compile(statement).sql)


def insert(**update: Any) -> Any:
    statement = Insert(Shop).values(name="a", rank=1).on_conflict("name", update=update)
    return statement.builder(statement.attributes(), 2).build()


def test_conflicts_name_the_new_row() -> None:
    update = {"rank": excluded("rank") + 1}
    assert compiled(insert(**update), "8.4.0").endswith(
        " VALUES (%s, %s), (%s, %s) AS blaze_new ON DUPLICATE KEY UPDATE `rank` = (blaze_new.`rank` + %s)"
    )
    for version in ("8.0.19", "10.11.6-MariaDB"):
        assert compiled(insert(**update), version).endswith(
            " (%s, %s) ON DUPLICATE KEY UPDATE `rank` = (VALUES(`rank`) + %s)"
        )
    assert compiled(insert(), "8.4.0").endswith(" (%s, %s) ON DUPLICATE KEY UPDATE `name` = `name`")


@pytest.mark.parametrize(
    ("version", "named", "value"),
    [("8.4.0", " AS blaze_new", "blaze_new.{}"), ("10.11.6-MariaDB", "", "VALUES({})")],
)
def test_a_conflict_with_another_key_is_guarded_against(version: str, named: str, value: str) -> None:
    statement = Insert(Shop).values(id=1, name="a", rank=1).on_conflict("name", do="nothing")
    built = statement.builder(statement.attributes(), 1).build()
    name, key = (f"`mysql8_shop`.{each} = {value.format(each)}" for each in ("`name`", "`id`"))
    own = "`mysql8_shop`.`name`"
    assert compiled(built, version).endswith(
        f"(%s, %s, %s){named} ON DUPLICATE KEY UPDATE `name` = IF(POW(1e300, IF({name}, 0, IF({key}, 2, 0)))"
        f" + POW(1e300, IF({name}, 0, 2)), {own}, {own})"
    )


def test_locks() -> None:
    query = Select(Shop).for_update(skip_locked=True)
    assert text(query, "8.4.0").endswith(" FOR UPDATE SKIP LOCKED")
    with pytest.raises(CapabilityError, match="SKIP LOCKED"):
        text(query, "10.5.20-MariaDB")
    assert text(Select(Shop).for_update(nowait=True), "8.4.0").endswith(" FOR UPDATE NOWAIT")


def test_batches() -> None:
    def batches(version: str) -> list[Any]:
        codec = ModelCodec(Shop.__mapper__, dialect(version))  # type: ignore[attr-defined]
        name = codec.mapper.attributes["name"]
        return [codec.update_keyed((name,)).batch, codec.delete_keyed.batch, codec.insert_batch((name,), ())]

    update, delete, several = batches("8.4.0")
    head = (
        "UPDATE `mysql8_shop` JOIN (SELECT `name` AS c1, `id` AS c2 FROM `mysql8_shop` WHERE 1 = 0 UNION ALL"
    )
    tail = ") AS blaze_rows ON `mysql8_shop`.`id` = blaze_rows.c2 SET `mysql8_shop`.`name` = blaze_rows.c1"
    rows = [("a", 1), ("b", 2)]
    assert update.render(rows) == (f"{head} VALUES ROW(%s, %s), ROW(%s, %s){tail}", ["a", 1, "b", 2])
    assert delete.render([(1,), (2,)]) == ("DELETE FROM `mysql8_shop` WHERE `id` IN (%s, %s)", [1, 2])
    assert several.render([("a",), ("b",)])[0] == "INSERT INTO `mysql8_shop` (`name`) VALUES (%s), (%s)"
    assert batches("10.11.6-MariaDB")[0].render(rows)[0] == f"{head} VALUES (%s, %s), (%s, %s){tail}"
    assert batches("8.0.18") == [None, None, None]


def test_tables() -> None:
    made = SchemaBuilder(dialect("8.4.0")).create_table_sql(Shop)
    assert "`name` VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL" in made
    assert "COLLATE utf8mb4_nopad_bin" in SchemaBuilder(dialect("10.11.6-MariaDB")).create_table_sql(Shop)


def test_sessions_are_set_up() -> None:
    config = ConnectionConfig.from_dsn("mysql://u@h/d?statement_timeout=2&lock_timeout=3")
    mysql = set_up_text(config, dialect("8.4.0"), "8.4.0")
    assert "transaction_isolation = 'READ-COMMITTED'" in mysql
    assert "max_execution_time = 2000" in mysql
    assert "innodb_lock_wait_timeout = 3" in mysql
    maria = set_up_text(config, dialect("8.4.0"), "10.11.6-MariaDB")
    assert "tx_isolation = 'READ-COMMITTED'" in maria
    assert "max_statement_time = 2" in maria


def test_functions() -> None:
    assert "GROUP_CONCAT" in text(Select(func.string_agg(Shop.name, ",")), "8.4.0")
    found = text(Select(Sale).where(Sale.words["a"].is_(None)), "8.4.0")
    assert "CAST('null' AS JSON)" in found
    assert "CAST('null' AS JSON)" not in text(
        Select(Sale).where(Sale.words["a"].is_(None)), "10.11.6-MariaDB"
    )


# Keys that nobody gives back are reckoned from the first one, where the server guarantees that.


@pytest.fixture
def without_returning(mysql: str) -> Any:
    engine = Engine(mysql, pool_size=8)
    for known in (engine.dialect, engine.async_dialect):
        assert isinstance(known, MySQLDialect)
        step = known.server.key_step
        assert step == 1, "MariaDB's innodb_autoinc_lock_mode is 1 unless it was told otherwise"
        known._features = known.features._replace(returning=False, consecutive_keys=step)
    create_all(engine, [Shop])
    yield engine
    drop_all(Engine(mysql), [Shop])
    engine.dispose()


def test_keys_of_many_rows_are_reckoned(without_returning: Engine) -> None:
    def one(number: int) -> dict[str, int]:
        with Session(without_returning) as session:
            shops = [Shop(name=f"{number}.{n}") for n in range(400)]
            before = session.query_stats().total
            session.add_all(shops)
            session.flush()
            assert session.query_stats().total - before == 1
            more = [Shop(name=f"{number}.more.{n}") for n in range(300)]
            session.bulk_insert(more, return_keys=True)
            session.commit()
            return {shop.name: shop.id for shop in (*shops, *more)}

    with ThreadPoolExecutor(4) as threads:
        found = {name: key for part in threads.map(one, range(4)) for name, key in part.items()}
    with Session(without_returning) as session:
        assert dict(session.query(Shop.name, Shop.id).all()) == found
        assert len(found) == 4 * 700


def test_keys_of_tasks_are_reckoned(without_returning: Engine) -> None:
    async def inside() -> None:
        async with AsyncSession(without_returning) as session:
            shops = [Shop(name=f"a{n}") for n in range(300)]
            session.add_all(shops)
            await session.commit()
            rows = await session.query(Shop.name, Shop.id).all()
            assert dict(rows) == {shop.name: shop.id for shop in shops}
            await session.rollback()
        await without_returning.adispose()

    run(inside())
