"""Composite foreign keys that share a column: tables of many tenants, whose keys begin with the tenant."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import (
    Engine,
    Field,
    ForeignKey,
    Insert,
    Model,
    ModelError,
    OneToMany,
    QueryError,
    Select,
    Session,
    ValidationError,
    create_all,
    field,
    foreign_key,
    one_to_many,
)
from blaze.schema.builder import SchemaBuilder
from tests.persistence.twins import Database, Twin, settled

pytestmark = pytest.mark.requirement("R27")


class Tenant(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    projects: OneToMany[Project] = one_to_many()
    tickets: OneToMany[Ticket] = one_to_many()


class Project(Model):
    tenant: ForeignKey[Tenant] = foreign_key(related_name="projects", primary_key=True, on_delete="CASCADE")
    no: Field[int] = field(primary_key=True, init=True)
    name: Field[str] = field(default="")
    tickets: OneToMany[Ticket] = one_to_many()


class Ticket(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str]
    tenant: ForeignKey[Tenant] = foreign_key(related_name="tickets", column="tenant_id", on_delete="CASCADE")
    project: ForeignKey[Optional[Project]] = foreign_key(
        related_name="tickets", column=("tenant_id", "project_no"), on_delete="CASCADE", default=None
    )
    second: ForeignKey[Optional[Project]] = foreign_key(
        related_name="seconded", column=("tenant_id", "second_no"), default=None
    )


class Step(Model):
    tenant: ForeignKey[Tenant] = foreign_key(primary_key=True, column="tenant_id")
    no: Field[int] = field(primary_key=True, init=True)
    after: ForeignKey[Optional[Step]] = foreign_key(
        related_name="before", column=("tenant_id", "after_no"), default=None, on_delete="CASCADE"
    )


MODELS = [Tenant, Project, Ticket, Step]


@pytest.fixture(autouse=True)
def tables(engine: Engine) -> None:
    create_all(engine, MODELS)
    with Session(engine) as s:
        for number in (1, 2):
            tenant = Tenant(id=number, name=f"t{number}")
            s.add_all([Project(tenant=tenant, no=no, name=f"p{number}{no}") for no in (1, 2)])
        s.commit()


ROWS = "SELECT tenant_id, project_no, second_no FROM ticket ORDER BY id"


async def first(s: Twin) -> tuple[Any, Any, Any]:
    """Return tenant 1 and its projects."""
    return await s.get(Tenant, 1), await s.get(Project, (1, 1)), await s.get(Project, (1, 2))


def test_the_column_stands_once_in_the_table(engine: Engine) -> None:
    (sql, *_) = [s for s in SchemaBuilder(engine.dialect).create_sql([Ticket]) if '"ticket"' in s]
    assert sql.count('"tenant_id" INTEGER NOT NULL') == 1
    assert '("tenant_id", "project_no") REFERENCES "project" ("tenant_id", "no") ON DELETE CASCADE' in sql
    assert '("tenant_id") REFERENCES "tenant"' in sql
    assert [name for name, _ in Ticket.__mapper__.slots.columns] == [
        "id", "title", "tenant_id", "project_no", "second_no",
    ]  # fmt: skip


async def test_writing_and_reading(db: Database) -> None:
    async with db.session() as s:
        tenant, one, two = await first(s)
        await s.add_all(
            [
                Ticket(title="a", tenant=tenant, project=one, second=two),
                Ticket(title="b", tenant=tenant),
                Ticket(title="c", tenant_id=1, project_no=2),
            ]
        )
        await s.commit()
    assert await db.rows(ROWS) == [(1, 1, 2), (1, None, None), (1, 2, None)]
    async with db.session() as s:
        a, b, c = await s.do(
            lambda x: (
                x.query(Ticket)
                .include(Ticket.tenant, Ticket.project, Ticket.second)
                .order_by(Ticket.id)
                .all()
            )
        )
        assert [t.project and t.project.name for t in (a, b, c)] == ["p11", None, "p12"]
        assert (a.second.name, b.second, b.tenant.name) == ("p12", None, "t1")
        one = await s.get(Project, (1, 1))
        assert await s.read(one, "tickets") == [a]
        assert await s.read(await s.get(Tenant, 1), "tickets") == [a, b, c]
        where = lambda *conditions: s.do(lambda x: x.query(Ticket).where(*conditions).count())  # noqa: E731
        assert await where(Ticket.project.name == "p11") == 1
        assert await where(Ticket.project == one) == 1
        assert await where(Ticket.project.is_(None)) == 1
        assert await where(Ticket.project.in_(Select(Project).where(Project.no == 2))) == 1
        names = await s.do(lambda x: x.query(Ticket.title, Ticket.project.name).order_by(Ticket.id).all())
        assert [tuple(n) for n in names] == [("a", "p11"), ("b", None), ("c", "p12")]


async def test_new_parents_go_in_first(db: Database) -> None:
    async with db.session() as s:
        tenant = Tenant(name="new")
        project = Project(tenant=tenant, no=7)
        await s.add(Ticket(title="a", tenant=tenant, project=project))
        await s.commit()
        assert (tenant.tickets[0].project, project.tickets[0].tenant_id) == (project, tenant.id)
    assert await db.rows(ROWS) == [(3, 7, None)]


async def test_emptying_a_relation_leaves_the_shared_column(db: Database) -> None:
    async with db.session() as s:
        tenant, one, two = await first(s)
        ticket = Ticket(title="a", tenant=tenant, project=one, second=two)
        await s.add(ticket)
        await s.commit()
        ticket.project = None
        assert (ticket.tenant_id, ticket.project_no, ticket.second) == (1, None, two)
        await s.commit()
        assert ticket.tenant is tenant
    assert await db.rows(ROWS) == [(1, None, 2)]


async def test_both_sides_must_agree(db: Database) -> None:
    async with db.session() as s:
        tenant, one, _ = await first(s)
        other, foreign = await s.get(Tenant, 2), await s.get(Project, (2, 1))
        for given in ({"tenant": tenant, "project": foreign}, {"project": foreign, "second": one}):
            await s.add(Ticket(title="bad", **{"tenant": other, **given}))
            with pytest.raises(ValidationError, match="both stand in the column 'tenant_id'"):
                await s.flush()
            await s.rollback()
        await s.add(Ticket(title="bad", tenant=Tenant(name="new"), project=one))
        with pytest.raises(ValidationError, match="does not go with"):
            await s.commit()
        await s.rollback()
        with pytest.raises(ValidationError, match="does not go with"):
            await s.bulk_insert([Ticket(title="bad", tenant=other, project=one)])
        ticket = Ticket(title="good", tenant=tenant, project=one)
        await s.add(ticket)
        await s.commit()
        ticket.project = foreign
        with pytest.raises(ValidationError, match="does not go with"):
            await s.commit()
        ticket.tenant = other
        await s.commit()
    assert await db.rows(ROWS) == [(2, 1, None)]


async def test_writing_statements(db: Database) -> None:
    async with db.session() as s:
        tenant, one, two = await first(s)
        other = await s.get(Tenant, 2)
        await s.exec(Insert(Ticket).values(title="a", tenant=tenant, project=one))
        await s.exec(Insert(Ticket).values(title="b", tenant=tenant, project=None))
        with pytest.raises(QueryError, match="do not agree about the column 'tenant_id'"):
            await s.exec(Insert(Ticket).values(title="c", tenant=other, project=one))
        tickets = s.session.query(Ticket)
        assert await settled(tickets.filter(project__isnull=True).count()) == 1
        assert await settled(tickets.where(Ticket.title == "a").update(project=None, second=two)) == 1
        with pytest.raises(QueryError, match="do not agree"):
            await settled(tickets.all_rows().update(tenant=other, second=two))
        await s.commit()
        await s.bulk_insert([Ticket(title="c", tenant=tenant, project=two)])
        await s.commit()
    assert await db.rows(ROWS) == [(1, None, 2), (1, None, None), (1, 2, None)]


async def test_a_ticket_moves_with_what_is_not_loaded(db: Database) -> None:
    await db.save(Ticket(title="a", tenant_id=1, project_no=1))
    async with db.session() as s:
        ticket = (await s.all(Ticket))[0]
        tenant, other = await s.get(Tenant, 1), await s.get(Tenant, 2)
        assert await s.read(tenant, "tickets") == [ticket]
        assert await s.read(other, "tickets") == []
        assert await s.read(ticket, "tenant") is tenant
        ticket.tenant_id = 2
        assert (list(tenant.tickets), list(other.tickets)) == ([], [ticket])
        assert await s.read(ticket, "project") is await s.get(Project, (2, 1))
        await s.rollback()
        assert (list(tenant.tickets), list(other.tickets)) == ([ticket], [])
        assert await s.read(ticket, "project") is await s.get(Project, (1, 1))


async def test_deleting(db: Database) -> None:
    async with db.session() as s:
        tenant, one, two = await first(s)
        a, b = Ticket(title="a", tenant=tenant, project=one), Ticket(title="b", tenant=tenant, project=two)
        await s.add_all([a, b])
        await s.commit()
        await s.delete(one)
        await s.commit()
        assert (a in s.session, b in s.session) == (False, True)
        await s.delete(tenant)
        await s.commit()
        assert b not in s.session
    assert await db.rows(ROWS) == []


@pytest.mark.parametrize("given", [{}, {"tenant": None}])
async def test_the_key_that_was_not_given_comes_from_the_other_one(
    db: Database, given: dict[str, Any]
) -> None:
    async with db.session() as s:
        tenant, one, two = await first(s)
        assert await s.read(tenant, "tickets") == []
        ticket = Ticket(title="a", project=one, **given)
        await s.add(ticket)
        assert ticket.tenant is tenant
        await s.commit()
        assert (ticket.tenant_id, ticket.tenant, list(tenant.tickets)) == (1, tenant, [ticket])
        later = Ticket(title="b", **given)
        assert later.tenant is None
        later.second = two
        await s.add(later)
        await s.flush()
        assert (later.tenant, list(tenant.tickets)) == (tenant, [ticket, later])
        await s.rollback()
        assert list(tenant.tickets) == [ticket]
    assert await db.rows(ROWS) == [(1, 1, None)]


@pytest.mark.parametrize("given", [{}, {"tenant": None}])
async def test_the_key_that_was_not_given_comes_from_new_objects(db: Database, given: dict[str, Any]) -> None:
    async with db.session() as s:
        tenant = Tenant(name="new")
        ticket = Ticket(title="a", project=Project(tenant=tenant, no=1), **given)
        assert ticket.tenant is None
        await s.add(ticket)
        await s.flush()
        assert (ticket.tenant, await s.read(tenant, "tickets")) == (tenant, [ticket])
        await s.rollback()
    assert await db.rows(ROWS) == []


async def test_the_key_that_was_not_given_is_loaded(db: Database) -> None:
    async with db.session() as s:
        tickets = [Ticket(title=title, project=await s.get(Project, (1, 1))) for title in "abc"]
        await s.add_all(tickets)
        await s.commit()
        await settled(s.session.query(Ticket).where(Ticket.title == "a").include(Ticket.tenant).all())
        await settled(s.session.load(tickets[1], Ticket.tenant))
        assert [ticket.tenant.name for ticket in tickets[:2]] == ["t1", "t1"]
        assert (await s.read(tickets[2], "tenant")).name == "t1"


async def test_without_either_key_nothing_is_saved(db: Database) -> None:
    async with db.session() as s:
        await s.add(Ticket(title="a"))
        with pytest.raises(ValidationError, match="tenant: must not be None"):
            await s.commit()
        await s.rollback()


async def test_a_shared_column_in_the_key_of_a_tree(db: Database) -> None:
    async with db.session() as s:
        tenant = await s.get(Tenant, 1)
        one = Step(tenant=tenant, no=1)
        two = Step(tenant=tenant, no=2, after=one)
        three = Step(tenant=tenant, no=3, after=two)
        four = Step(tenant=tenant, no=4)
        five = Step(tenant=tenant, no=5, after=four)
        four.after = five
        await s.add_all([three, two, one, four])
        await s.commit()
        assert await db.rows("SELECT no, after_no FROM step ORDER BY no") == [
            (1, None), (2, 1), (3, 2), (4, 5), (5, 4),
        ]  # fmt: skip
        await s.delete(one)
        await s.delete(four)
        await s.delete(five)
        await s.commit()
        assert three not in s.session
    assert await db.rows("SELECT count(*) FROM step") == [(0,)]


def test_what_cannot_be_shared() -> None:
    class Wide(Model):
        a: Field[int] = field(primary_key=True, init=True)
        b: Field[str] = field(primary_key=True, init=True)

    class One(Model):
        x: ForeignKey[Tenant] = foreign_key(column="x_id")
        y: ForeignKey[Tenant] = foreign_key(column="x_id")

    class Kinds(Model):
        x: ForeignKey[Tenant] = foreign_key(column="b")
        y: ForeignKey[Wide] = foreign_key(column=("a", "b"))

    class Emptied(Model):
        x: ForeignKey[Tenant] = foreign_key(column="a")
        y: ForeignKey[Optional[Wide]] = foreign_key(column=("a", "b"), on_delete="SET NULL")

    for model, message in (
        (One, "two fields have the column 'x_id'"),
        (Kinds, "shares the column 'b' with 'x', whose key is"),
        (Emptied, "would empty the column that it shares"),
    ):
        with pytest.raises(ModelError, match=message):
            model.__mapper__.registry.configure(model.__mapper__)
