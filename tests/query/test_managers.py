"""`Model.objects`, managers of one's own, inherited ones, and the session they find."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from blaze import (
    AsyncSession,
    Engine,
    Field,
    ForeignKey,
    Manager,
    Model,
    NoSessionError,
    OneToMany,
    QueryError,
    QuerySet,
    Session,
    SessionManager,
    create_all,
    field,
    foreign_key,
    one_to_many,
)


class LiveManager(Manager[Any]):
    """Leaves out what is marked as deleted."""

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().where(self.model.deleted == False)  # type: ignore[attr-defined]  # noqa: E712

    def named(self, name: str) -> QuerySet[Any]:
        return self.filter(name=name)


class Marked(Model):
    name: Field[str] = field(max_length=20)
    deleted: Field[bool] = field(default=False)

    class Meta:
        abstract = True

    live: ClassVar[LiveManager] = LiveManager()


class Shop(Marked):
    id: Field[int] = field(primary_key=True)
    wares: OneToMany[Ware] = one_to_many()


class Ware(Marked):
    id: Field[int] = field(primary_key=True)
    price: Field[int]
    shop: ForeignKey[Shop] = foreign_key(related_name="wares")

    cheap_below: ClassVar[int] = 10

    class Objects(Manager["Ware"]):
        def cheap(self) -> QuerySet[Ware]:
            return self.where(Ware.price < Ware.cheap_below)

    objects = Objects()  # type: ignore[assignment]


@pytest.fixture
def shops(tmp_path: Path) -> Iterator[Engine]:
    with Engine(f"sqlite:///{tmp_path}/shops.db") as engine:
        create_all(engine, [Shop, Ware])
        with Session(engine) as session:
            shop = Shop(name="a")
            wares = [Ware(name=f"w{n}", price=n * 6, shop=shop, deleted=n == 1) for n in range(3)]
            session.add_all([*wares, Shop(name="b", deleted=True)])
            session.commit()
        yield engine


@pytest.mark.requirement("R4", "R11", "R50")
def test_managers_use_the_current_session(shops: Engine) -> None:
    with Session(shops) as session:
        ware = session.get_one(Ware, 1)
        assert Ware.objects.get_queryset().session is session
        assert Ware.objects.order_by(Ware.id).first() is ware
        assert [w.id for w in Ware.objects.all()] == [1, 2, 3]
        assert [w.name for w in Ware.objects] == ["w0", "w1", "w2"]
        assert Ware.objects.order_by("id")[1].id == 2
        assert Ware.objects.count() == 3
        ware.price = 100
        assert Ware.objects.where(Ware.price == 100).count() == 1, (
            "pending changes are flushed, as in queries"
        )
        assert Shop.objects.include(Shop.wares).where(Shop.name == "a").one().wares[0] is ware
        with Session(shops) as inner:
            assert Ware.objects.get_queryset().session is inner
            assert SessionManager.current() is inner
        assert Ware.objects.get_queryset().session is session
        session.rollback()


def test_managers_of_ones_own(shops: Engine) -> None:
    with Session(shops):
        assert [w.name for w in Ware.objects.cheap().order_by("id")] == ["w0", "w1"]  # type: ignore[attr-defined]
        assert Ware.objects.cheap().filter(name="w0").count() == 1  # type: ignore[attr-defined]
        with pytest.raises(AttributeError, match="cheep"):
            Ware.objects.cheep()  # type: ignore[attr-defined]


def test_managers_of_abstract_bases_belong_to_each_model(shops: Engine) -> None:
    with Session(shops):
        assert [w.name for w in Ware.live.order_by("id")] == ["w0", "w2"]
        assert [s.name for s in Shop.live.all()] == ["a"]
        assert Shop.live.named("b").count() == 0
        assert Shop.objects.count() == 2
        assert (Ware.live.model, Shop.live.model) == (Ware, Shop)
    with pytest.raises(AttributeError, match="class"):
        _ = Ware(name="x", price=1).live


def test_managers_write_too(shops: Engine) -> None:
    with Session(shops) as session:
        assert Ware.live.where(Ware.price > 0).update(price=1) == 1
        assert Ware.live.delete() == 2, "its own condition is one"
        with pytest.raises(QueryError, match="all_rows"):
            Ware.objects.delete()
        assert Ware.objects.all_rows().delete() == 1
        session.rollback()
        assert Ware.objects.count() == 3


@pytest.mark.requirement("R49", "R75", "R76", "R77", "R78", "R79")
async def test_without_a_session_they_say_so(shops: Engine) -> None:
    for use in (
        lambda: Ware.objects.count(),
        lambda: list(Ware.objects),
        lambda: Ware.live.first(),
        lambda: Ware.objects[0],
        SessionManager.require_current,
        SessionManager.require_current_async,
    ):
        with pytest.raises(NoSessionError) as caught:
            use()
        assert isinstance(caught.value, RuntimeError)
    assert SessionManager.current() is None
    assert SessionManager.current_async() is None

    def helper() -> Any:
        return SessionManager.require_current().exec_scalar("SELECT COUNT(*) FROM ware")

    with Session(shops) as session:
        assert SessionManager.require_current() is Session.current() is session
        assert SessionManager.current_async() is None
        assert helper() == 3
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.append(SessionManager.current()))
        thread.start()
        thread.join()
        assert seen == [None]
    async with AsyncSession(shops) as asynchronous:
        assert SessionManager.require_current_async() is AsyncSession.current() is asynchronous
        assert SessionManager.current() is None
        with pytest.raises(NoSessionError, match="AsyncSession"):
            Ware.objects.count()
    await shops.adispose()
