"""`drop_all` touches no table that it was not given."""

from __future__ import annotations

from typing import Optional

import pytest

from blaze import (
    AsyncSession,
    Engine,
    Field,
    ForeignKey,
    ForeignKeyError,
    Model,
    SchemaBuilder,
    Session,
    adrop_all,
    create_all,
    drop_all,
    field,
    foreign_key,
)
from blaze.dialects import Dialect, Features

pytestmark = pytest.mark.requirement("R60")


class Parent(Model):
    id: Field[int] = field(primary_key=True)


class Child(Model):
    id: Field[int] = field(primary_key=True)
    parent: ForeignKey[Parent] = foreign_key(related_name="children", on_delete="CASCADE")


async def test_a_table_that_another_refers_to_is_not_dropped() -> None:
    with Engine("sqlite://", pool_size=1, max_overflow=0) as engine:
        create_all(engine, [Parent, Child])
        with Session(engine, auto_commit=True) as s:
            s.add(Child(parent=Parent()))
        with pytest.raises(
            ForeignKeyError, match=r"'parent' cannot be dropped: the table 'child' refers to it"
        ):
            drop_all(engine, [Parent])
        with Session(engine) as s:
            assert (s.query(Parent).count(), s.query(Child).count()) == (1, 1)
        drop_all(engine, [Child])
        drop_all(engine, [Child, Parent])
        drop_all(engine, Parent)
    async with Engine("sqlite://") as engine:
        create_all(engine, [Parent, Child])
        with pytest.raises(ForeignKeyError, match="refers to it"):
            await adrop_all(engine, [Parent])
        await adrop_all(engine, [Parent, Child])


async def test_a_session_does_not_drop_a_table_that_another_refers_to() -> None:
    with Engine("sqlite://", pool_size=1, max_overflow=0) as engine:
        create_all(engine, [Parent, Child])
        with Session(engine) as s:
            s.add(Child(parent=Parent()))
            s.commit()
            with pytest.raises(ForeignKeyError, match=r"'parent' cannot be dropped: the table 'child'"):
                s.drop_all(Parent)
            assert (s.query(Parent).count(), s.query(Child).count()) == (1, 1)
            s.drop_all(Parent, Child)
            s.drop_all(Parent)
            s.commit()
    async with Engine("sqlite://") as engine, AsyncSession(engine) as a:
        await a.create_all(Parent, Child)
        await a.add(Child(parent=Parent()))
        await a.commit()
        with pytest.raises(ForeignKeyError, match="refers to it"):
            await a.drop_all(Parent)
        assert (await a.query(Parent).count(), await a.query(Child).count()) == (1, 1)
        await a.drop_all(Child, Parent)
        await a.commit()


class Hen(Model):
    id: Field[int] = field(primary_key=True)
    egg: ForeignKey[Optional[Egg]] = foreign_key(related_name="layers")


class Egg(Model):
    id: Field[int] = field(primary_key=True)
    hen: ForeignKey[Optional[Hen]] = foreign_key(related_name="eggs")


def test_no_foreign_key_is_made_or_dropped_where_there_are_none() -> None:
    class Keyless(Dialect):
        features = Features(foreign_keys=False)

    circle = SchemaBuilder(Dialect())
    assert any("ADD CONSTRAINT" in sql for sql in circle.create_sql([Hen, Egg]))
    assert any("DROP CONSTRAINT" in sql for sql in circle.drop_sql([Hen, Egg], if_exists=True))
    keyless = SchemaBuilder(Keyless())
    assert not any("FOREIGN KEY" in sql for sql in keyless.create_sql([Hen, Egg]))
    assert sorted(keyless.drop_sql([Hen, Egg], if_exists=True)) == [
        'DROP TABLE IF EXISTS "egg"',
        'DROP TABLE IF EXISTS "hen"',
    ]
