"""Primary keys that change: rows that refer to them follow, in the database and in memory."""

from __future__ import annotations

from contextlib import suppress
from itertools import permutations
from typing import Any, Optional

import pytest

from blaze import Field, ForeignKey, ManyToMany, Model, Update, create_all, field, foreign_key, many_to_many
from blaze.errors import ForeignKeyError, UniqueError
from tests.persistence.models import Author, Book, Course, Enrolment, Student
from tests.persistence.twins import Database, names, settled

pytestmark = pytest.mark.requirement("R29")


class Plant(Model):
    code: Field[str] = field(primary_key=True, init=True)
    name: Field[str] = field(default="")
    soils: ManyToMany[Soil] = many_to_many(related_name="plants")


class Soil(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(default="")


class Part(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(default="")
    plant: ForeignKey[Plant] = foreign_key(related_name="parts", on_delete="CASCADE")


class Sheet(Model):
    """Its key is that of its plant and a number; a vein refers to all of it."""

    plant: ForeignKey[Plant] = foreign_key(related_name="sheets", primary_key=True)
    number: Field[int] = field(primary_key=True, init=True)
    name: Field[str] = field(default="")


class Vein(Model):
    id: Field[int] = field(primary_key=True)
    sheet: ForeignKey[Sheet] = foreign_key(related_name="veins", deferrable=True)


class Twig(Model):
    plant: ForeignKey[Plant] = foreign_key(primary_key=True)
    number: Field[int] = field(primary_key=True, init=True)


class Tip(Model):
    twig: ForeignKey[Twig] = foreign_key(primary_key=True, on_delete="CASCADE")
    name: Field[str] = field(default="")


@pytest.fixture
async def db(db: Database) -> Database:
    create_all(db.engine, [Plant, Soil, Part, Sheet, Vein])
    return db


LINKS = "SELECT plant_id FROM plant_soils ORDER BY 1"
PARTS = "SELECT name, plant_id FROM part ORDER BY name"


async def test_loaded_children_and_links_follow(db: Database) -> None:
    async with db.session() as s:
        plant = Plant(code="a", soils=[Soil()], parts=[Part(name="root")])
        await s.do(lambda session: session.add(plant))
        await s.commit()
        (root,) = await s.read(plant, "parts")
        (soil,) = await s.read(plant, "soils")
        plant.code = "b"
        root.name = "Root"
        await s.flush()
        assert (root.plant_id, root.plant) == ("b", plant)
        assert s.session.dirty == []
        assert await s.get(Plant, "b") is plant
        assert await s.get(Plant, "a") is None
        assert list(plant.parts) == [root]
        await s.rollback()
        assert (plant.code, root.plant_id, root.plant, root.name) == ("a", "a", plant, "root")
        plant.code = "b"
        await s.commit()
        assert await s.read(soil, "plants") == [plant]
        plant.soils.remove(soil)
        plant.soils.add(Soil(name="new"))
        await s.commit()
    assert await db.rows(LINKS) == [("b",)]
    assert await db.rows(PARTS) == [("root", "b")]


async def test_children_that_are_not_loaded_follow(db: Database) -> None:
    await db.save(Plant(code="a", soils=[Soil()], parts=[Part(name="root")]))
    async with db.session() as s:
        plant = await s.get_one(Plant, "a")
        plant.code = "b"
        await s.commit()
        assert names(await s.read(plant, "parts")) == ["root"]
    assert await db.rows(LINKS) == [("b",)]


async def test_children_whose_parent_is_not_loaded_into_them_follow(db: Database) -> None:
    await db.save(Plant(code="a", parts=[Part(name="root")]))
    async with db.session() as s:
        part = await s.get_one(Part, 1)
        plant = await s.get_one(Plant, "a")
        plant.code = "b"
        await s.commit()
        assert part.plant_id == "b"
        part.name = "Root"
        await s.commit()
    assert await db.rows(PARTS) == [("Root", "b")]


async def test_keys_that_are_swapped_take_their_rows_along(db: Database) -> None:
    await db.save(
        Plant(code="a", soils=[Soil()], parts=[Part(name="of a")]), Plant(code="b", parts=[Part(name="of b")])
    )
    async with db.session() as s:
        a, b = await s.get_one(Plant, "a"), await s.get_one(Plant, "b")
        (of_a,), (of_b,) = await s.read(a, "parts"), await s.read(b, "parts")
        a.code, b.code = "b", "a"
        await s.commit()
        assert (of_a.plant_id, of_b.plant_id) == ("b", "a")
        assert (of_a.plant, of_b.plant) == (a, b)
    assert await db.rows(PARTS) == [("of a", "b"), ("of b", "a")]
    assert await db.rows(LINKS) == [("b",)]


async def test_keys_of_keys_follow(db: Database) -> None:
    async with db.session() as s:
        plant = Plant(code="a")
        sheet = Sheet(plant=plant, number=1)
        vein = Vein(sheet=sheet)
        await s.do(lambda session: session.add_all([plant, sheet, vein]))
        await s.commit()
        plant.code = "b"
        sheet.name = "changed too"
        await s.commit()
        assert await s.get(Sheet, ("b", 1)) is sheet
        assert await s.get(Sheet, ("a", 1)) is None
        assert (vein.sheet_plant_id, vein.sheet) == ("b", sheet)
        sheet.number = 7
        await s.flush()
        assert vein.sheet_number == 7
        await s.rollback()
        assert (sheet.number, vein.sheet_number) == (1, 1)
        assert await s.get(Sheet, ("b", 1)) is sheet
    assert await db.rows("SELECT sheet_plant_id, sheet_number FROM vein") == [("b", 1)]


async def test_new_and_moved_children_of_a_parent_whose_key_changes(db: Database) -> None:
    await db.save(Plant(code="a", parts=[Part(name="old")]), Plant(code="z", parts=[Part(name="other")]))
    async with db.session() as s:
        plant = await s.get_one(Plant, "a")
        (other,) = await s.all(Part, Part.name == "other")
        plant.code = "b"
        other.plant = plant
        fresh = Part(name="fresh", plant=plant)
        await s.do(lambda session: session.add(fresh))
        await s.commit()
        assert (other.plant_id, fresh.plant_id) == ("b", "b")
    assert await db.rows(PARTS) == [("fresh", "b"), ("old", "b"), ("other", "b")]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("loaded", [True, False])
async def test_a_changed_key_may_be_given_as_a_value(db: Database, first: bool, loaded: bool) -> None:
    await db.save(Plant(code="a", parts=[Part(name="own")]), Plant(code="x", parts=[Part(name="moved")]))
    async with db.session() as s:
        plant, other = await s.get(Plant, "a"), await s.get(Plant, "x")
        own, moved = await s.all(Part)
        if loaded:
            await s.load([plant, other], Plant.parts)
        plant.code = moved.plant_id = "b"
        await s.add(Part(name="lost", plant_id="c"))
        with pytest.raises(ForeignKeyError):
            await s.flush()
        assert (plant.code, moved.plant_id) == ("b", "b")
        await s.rollback()
        assert (plant.code, moved.plant_id, s.dirty) == ("a", "x", [])
        with s.session.no_autoflush():
            if first:
                plant.code = "b"
            moved.plant_id = "b"
            new = Part(name="new", plant_id="b")
            await s.add(new)
            plant.code = "b"
        await s.flush()
        assert {part.plant_id for part in (own, moved, new)} == {"b"}
        assert [await s.read(part, "plant") for part in (own, moved, new)] == [plant] * 3
        assert names(await s.read(plant, "parts")) == ["moved", "new", "own"]
        assert await s.read(other, "parts") == []
        await s.rollback()
        assert (plant.code, moved.plant_id, await s.read(moved, "plant")) == ("a", "x", other)
        assert [names(await s.read(each, "parts")) for each in (plant, other)] == [["own"], ["moved"]]
        plant.code = moved.plant_id = "b"
        await s.commit()
    assert await db.rows(PARTS) == [("moved", "b"), ("own", "b")]


async def test_a_table_without_the_rule_is_told_how_to_get_it(db: Database) -> None:
    async with db.session() as s:
        await s.execute("DROP TABLE part")
        await s.execute(
            "CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT, plant_id TEXT REFERENCES plant(code))"
        )
        await s.commit()
        plant = Plant(code="a", parts=[Part(name="root")])
        await s.do(lambda session: session.add(plant))
        await s.commit()
        plant.code = "b"
        with pytest.raises(ForeignKeyError, match=r"ON UPDATE CASCADE.*DropConstraint and AddConstraint\n"):
            await s.commit()
        (part,) = plant.parts
        await s.rollback()
        assert (plant.code, part.plant_id) == ("a", "a")


@pytest.mark.requirement("R29", "R30")
@pytest.mark.parametrize("how", ["value", "expression", "statement", "swap"])
@pytest.mark.parametrize("loaded", [False, True])
async def test_objects_follow_a_statement_that_changes_their_keys(
    db: Database, how: str, loaded: bool
) -> None:
    await db.save(
        Student(id=1, name="s"), Student(id=2, name="t"), Course(id=1, name="c"),
        Enrolment(student_id=1, course_id=1, grade=4),
        Author(id=1, name="a"), Book(id=1, title="x", author_id=1),
    )  # fmt: skip
    async with db.session() as s:
        student, other, enrolment = *await s.all(Student), await s.get_one(Enrolment, (1, 1))
        author, book = await s.get(Author, 1), await s.get(Book, 1)
        if loaded:
            assert await s.read(student, "enrolments") == [enrolment]
            assert await s.read(enrolment, "student") is student
            assert await s.read(book, "author") is author
        key = 5
        changes: dict[str, Any] = {"id": 5}
        if how == "expression":
            changes = {"id": Student.id + 4}
        for model in (Student, Author):
            if how == "statement":
                await s.exec(Update(model).where(model.id == 1).set(id=5))
            elif how == "swap" and model is Student:
                key = 101
                assert await settled(s.session.query(Student).all_rows().update(id=102 - Student.id)) == 2
            else:
                values = {"id": Author.id + 4} if model is Author and how == "expression" else changes
                assert await settled(s.session.query(model).where(model.id == 1).update(**values)) == 1
        assert await s.get(Student, key) is student
        assert await s.get(Enrolment, (key, 1)) is enrolment
        assert (student.id, enrolment.student_id, enrolment.grade) == (key, key, 4)
        assert other.id == (100 if how == "swap" else 2)
        assert await s.get(Author, 5) is author
        assert book.author_id == 5
        assert await s.read(enrolment, "student") is student
        assert await s.read(student, "enrolments") == [enrolment]
        student.name = "changed"
        await s.flush()
        await s.rollback()
        assert (student.id, student.name, enrolment.student_id, author.id, book.author_id) == (
            1,
            "s",
            1,
            1,
            1,
        )
        assert await s.get(Student, 1) is student
        assert await s.get(Enrolment, (1, 1)) is enrolment
        student.name = "again"
        await s.commit()
    assert await db.rows("SELECT id, name FROM student") == [(1, "again"), (2, "t")]


@pytest.mark.parametrize("way", ["exchanged", "handed on"])
@pytest.mark.parametrize("undone", [False, True], ids=["committed", "undone first"])
async def test_a_deleted_row_goes_by_the_key_that_it_came_to_have(
    db: Database, way: str, undone: bool
) -> None:
    async with db.session() as s:
        one, two = Plant(code="a"), Plant(code="b")
        gone, kept = Sheet(plant=one, number=1, name="gone"), Sheet(plant=two, number=1, name="kept")
        await s.add_all([one, two, gone, kept])
        await s.commit()

        async def change() -> None:
            with s.session.no_autoflush():
                await s.delete(gone)
                if way == "exchanged":
                    one.code, two.code = "b", "a"
                else:
                    one.code, two.code = "z", "a"
                await s.flush()

        async def fail() -> None:
            async with s.transaction():
                await change()
                raise ZeroDivisionError

        if undone:
            with pytest.raises(ZeroDivisionError):
                await fail()
            assert (gone.plant_id, kept.plant_id) == ("a", "b")
            assert await s.get(Sheet, ("a", 1)) is gone
        await change()
        await s.commit()
        assert kept.plant_id == "a"
        assert await s.get(Sheet, ("a", 1)) is kept
        kept.name = "changed"
        await s.commit()
    assert await db.rows("SELECT plant_id, number, name FROM sheet") == [("a", 1, "changed")]


async def test_a_deleted_row_follows_a_key_that_is_not_loaded(db: Database) -> None:
    """The tip has the key of a twig, which has the key of a plant; the twig is not in memory."""
    create_all(db.engine, [Twig, Tip])
    for code in "ab":
        twig = Twig(plant=Plant(code=code), number=1)
        await db.save(twig, Tip(twig=twig, name=f"of {code}"))
    async with db.session() as s:
        tips = {tip.name: tip for tip in await settled(s.query(Tip).all())}
        one, two = await s.get_one(Plant, "a"), await s.get_one(Plant, "b")
        with s.session.no_autoflush():
            await s.delete(tips["of a"])
            one.code, two.code = "b", "a"
            await s.commit()
    assert await db.rows("SELECT twig_plant_id, twig_number, name FROM tip") == [("a", 1, "of b")]


@pytest.mark.requirement("R24")
@pytest.mark.parametrize("how", ["flushed", "savepoint"])
async def test_a_deleted_child_of_a_renamed_parent_comes_back_unchanged(db: Database, how: str) -> None:
    async with db.session() as s:
        plant = Plant(code="a")
        root = Part(name="root", plant=plant)
        await s.add(root)
        await s.commit()

        async def change() -> None:
            plant.code, root.name = "b", "changed"
            await s.delete(root)
            await s.flush()

        if how == "savepoint":
            with suppress(ZeroDivisionError):
                async with s.transaction(), s.transaction():
                    await change()
                    raise ZeroDivisionError
        else:
            await change()
            await s.rollback()
        assert (root.name, root.plant_id, plant.code, s.dirty) == ("root", "a", "a", [])
        root.name = "changed"
        await s.commit()
    assert await db.rows(PARTS) == [("changed", "a")]


class Crew(Model):
    num: Field[int] = field(primary_key=True, init=True)
    label: Field[Optional[str]] = field(unique=True, default=None)


class Sailor(Model):
    id: Field[int] = field(primary_key=True)
    berth: Field[int] = field(default=1)
    crew: ForeignKey[Optional[Crew]] = foreign_key(related_name="sailors", on_delete="SET NULL")


class Mate(Model):
    id: Field[int] = field(primary_key=True)
    berth: Field[int] = field(default=1)
    crew: ForeignKey[Crew] = foreign_key(related_name="mates", on_delete="CASCADE")


@pytest.mark.requirement("R24")
@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
@pytest.mark.parametrize("how", ["changed", "assigned", "moved"])
async def test_children_of_a_renamed_and_deleted_parent_follow_the_rule(
    db: Database, how: str, replaced: bool
) -> None:
    create_all(db.engine, [Crew, Sailor, Mate])
    async with db.session() as s:
        crew, other = Crew(num=1, label="x"), Crew(num=9)
        sailor, mate = Sailor(crew=crew), Mate(crew=crew)
        if how == "moved":
            sailor.crew = mate.crew = other
        await s.add_all([sailor, mate, crew, other])
        await s.commit()
        before = sailor.crew
        for final in (False, True):
            with s.session.no_autoflush():
                if how == "changed":
                    sailor.berth = mate.berth = 3
                crew.num = 2
                if how != "changed":
                    sailor.crew = mate.crew = crew
                await s.delete(crew)
                if replaced and how == "changed":
                    await s.add(Crew(num=5, label="x"))
            if not final:

                async def refused() -> None:
                    await s.add(Crew(num=9))
                    await s.flush()

                with pytest.raises(UniqueError):
                    await refused()
                assert sailor.crew_id == (1 if how == "changed" else 2)
                await s.rollback()
                assert (sailor.crew, mate.crew, sailor.berth, crew.num) == (before, before, 1, 1)
        await s.commit()
        assert (sailor.crew, sailor.crew_id) == (None, None)
        assert mate not in s.session
    berth = 3 if how == "changed" else 1
    assert await db.rows("SELECT crew_id, berth FROM sailor") == [(None, berth)]
    assert await db.rows("SELECT count(*) FROM mate") == [(0,)]


class Root(Model):
    code: Field[str] = field(primary_key=True, init=True)
    name: Field[Optional[str]] = field(unique=True, default=None)


class Branch(Model):
    root: ForeignKey[Root] = foreign_key(related_name="branches", on_delete="CASCADE", primary_key=True)
    number: Field[int] = field(primary_key=True, init=True)
    birds: ManyToMany[Bird] = many_to_many(related_name="branches")


class Leaf(Model):
    branch: ForeignKey[Branch] = foreign_key(related_name="leaves", on_delete="CASCADE", primary_key=True)
    place: Field[int] = field(primary_key=True, init=True)
    version: Field[int] = field(version=True)


class Bird(Model):
    name: Field[str] = field(primary_key=True, init=True)


@pytest.fixture
async def tree(db: Database) -> Database:
    create_all(db.engine, [Root, Branch, Leaf, Bird])
    return db


BRANCHES = "SELECT root_id, number FROM branch ORDER BY 1, 2"
LEAVES = "SELECT branch_root_id, branch_number, place FROM leaf ORDER BY 1, 2, 3"


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_keys_change_on_every_level_in_any_order(tree: Database, order: tuple[int, ...]) -> None:
    async with tree.session() as s:
        root, bird = Root(code="a"), Bird(name="robin")
        branch = Branch(root=root, number=1)
        leaf = Leaf(branch=branch, place=1)
        await s.add_all([leaf, bird])
        await s.commit()
        await s.read(branch, "birds")
        changes = [(root, "code", "b"), (branch, "number", 2), (leaf, "place", 2)]
        for final in (False, True):
            with s.session.no_autoflush():
                for number in order:
                    setattr(*changes[number])
                branch.birds.add(bird)
            await s.flush()
            assert (branch.root_id, branch.number) == ("b", 2)
            assert (leaf.branch_root_id, leaf.branch_number, leaf.place) == ("b", 2, 2)
            assert await s.get(Leaf, ("b", 2, 2)) is leaf
            assert (await s.execute(LEAVES)).all() == [("b", 2, 2)]
            if not final:
                await s.rollback()
                assert (root.code, branch.number, leaf.branch_root_id, leaf.place) == ("a", 1, "a", 1)
                assert await s.get(Branch, ("a", 1)) is branch
        await s.commit()
        leaf.place, root.code = 3, "c"
        await s.commit()
    assert await tree.rows(LEAVES) == [("c", 2, 3)]
    assert await tree.rows("SELECT * FROM branch_birds") == [("c", 2, "robin")]


@pytest.mark.parametrize("first", ["root", "branch"])
@pytest.mark.parametrize("former", ["renamed", "deleted", "replaced"])
async def test_a_child_gets_another_parent_and_number_when_its_former_one_changes(
    tree: Database, former: str, first: str
) -> None:
    async with tree.session() as s:
        root, other = Root(code="a", name="n"), Root(code="o")
        branch, gone = Branch(root=root, number=1), Branch(root=root, number=5)
        await s.add_all([branch, gone, other, Leaf(branch=branch, place=1), Leaf(branch=gone, place=1)])
        await s.commit()
        with s.session.no_autoflush():

            def move() -> None:
                branch.root, branch.number = other, 9

            if first == "branch":
                move()
            root.code = "z"
            if first == "root":
                move()
            await s.delete(gone)
            if former == "deleted":
                await s.delete(root)
            elif former == "replaced":
                await s.add(Root(code="a", name="m"))
        await s.commit()
        assert (branch.root_id, branch.root, branch.number) == ("o", other, 9)
        assert await s.get(Branch, ("o", 9)) is branch
    assert await tree.rows(BRANCHES) == [("o", 9)]
    assert await tree.rows(LEAVES) == [("o", 9, 1)]
    roots = {"renamed": ["o", "z"], "deleted": ["o"], "replaced": ["a", "o", "z"]}[former]
    assert await tree.rows("SELECT code FROM root ORDER BY 1") == [(code,) for code in roots]


async def test_parents_swap_their_keys_while_grandchildren_change_theirs(tree: Database) -> None:
    async with tree.session() as s:
        a, b = Root(code="a"), Root(code="b")
        first, second = Branch(root=a, number=1), Branch(root=b, number=2)
        leaves = [Leaf(branch=first, place=1), Leaf(branch=second, place=2)]
        await s.add_all(leaves)
        await s.commit()
        for final in (False, True):
            with s.session.no_autoflush():
                a.code, b.code = "b", "a"
                for leaf in leaves:
                    leaf.place += 5
            await s.flush()
            expected = [("a", 2, 7), ("b", 1, 6)]
            assert (await s.execute(LEAVES)).all() == expected
            assert sorted((o.branch_root_id, o.branch_number, o.place) for o in leaves) == expected
            await (s.commit() if final else s.rollback())
    assert await tree.rows(LEAVES) == expected
