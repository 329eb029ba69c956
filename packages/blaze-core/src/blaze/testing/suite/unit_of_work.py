"""The unit of work: what is written, in which order, and what comes back on the objects."""

from __future__ import annotations

import pytest

from blaze import ForeignKeyError, Insert, Select, StaleDataError, UniqueError
from blaze.testing.suite.harness import Database, done, scenario
from blaze.testing.suite.models import (
    Account,
    Animal,
    Boat,
    Car,
    Cat,
    City,
    Comment,
    Country,
    Course,
    Desk,
    Document,
    Dog,
    Enrolment,
    Label,
    Node,
    Passport,
    Person,
    Post,
    Puppy,
    Room,
    Setting,
    Student,
    Taxi,
    Vehicle,
)

__all__ = [
    "test_a_changed_key_is_written",
    "test_a_row_that_changed_meanwhile_is_stale",
    "test_a_row_that_went_meanwhile_is_stale",
    "test_a_through_model_links_and_carries_columns",
    "test_a_tree_is_deleted_leaves_first",
    "test_a_version_counts_up",
    "test_changes_are_written_without_add",
    "test_circles_between_tables",
    "test_circles_within_a_table",
    "test_composite_keys",
    "test_deep_graphs_are_saved_at_once",
    "test_deleting_cascades",
    "test_deleting_is_restricted",
    "test_deleting_sets_null",
    "test_generated_keys_come_back_in_order",
    "test_get_or_create",
    "test_hierarchies_in_joined_tables",
    "test_hierarchies_in_one_table",
    "test_links_are_added_and_removed",
    "test_many_changed_rows_are_written_exactly",
    "test_merge_and_refresh",
    "test_natural_keys_and_server_defaults",
    "test_one_to_one_from_both_sides",
    "test_statements_do_not_grow_with_rows",
    "test_unchanged_objects_send_nothing",
    "test_unique_values_swap",
    "test_values_set_at_every_update",
    "test_zero_is_a_key",
]


@scenario
async def test_generated_keys_come_back_in_order(db: Database) -> None:
    async with db.session() as s:
        people = [Person(name=f"p{n}") for n in range(1_200)]
        await s.add_all(people)
        await s.commit()
        keys = [person.id for person in people]
        assert keys == sorted(set(keys))
    rows = await db.rows(Select(Person.id, Person.name))
    assert {row.id: row.name for row in rows} == {person.id: person.name for person in people}


@scenario
async def test_zero_is_a_key(db: Database) -> None:
    async with db.session() as s:
        person = Person(id=0, name="zero")
        await s.add_all([person, Post(title="first", author=person), Person(name="generated")])
        await s.commit()
        assert person.id == 0
        with pytest.raises(UniqueError):
            await s.exec(Insert(Person).values(id=0, name="again"))
        await s.rollback()
        await s.bulk_insert([Label(id=0, name="l")])
        if db.has("on_conflict"):
            result = await s.upsert([Label(id=0, name="m"), Label(name="n")], conflict=[Label.id])
            assert (len(result.inserted), result.updated) == (1, [0])
        await s.commit()
    assert await db.rows(Select(Person.name).where(Person.id == 0)) == [("zero",)]
    assert await db.rows(Select(Post.author_id)) == [(0,)]
    assert (0,) in await db.rows(Select(Label.id))
    async with db.session() as s:
        assert (await s.get_one(Person, 0)).name == "zero"


@scenario
async def test_deep_graphs_are_saved_at_once(db: Database) -> None:
    labels = [Label(name="a"), Label(name="b")]
    await db.save(
        Person(
            name="p",
            passport=Passport(text="x"),
            posts=[Post(title=f"t{n}", labels=labels, comments=[Comment(text="c")]) for n in range(3)],
        )
    )
    async with db.session() as s:
        (person,) = await s.all(Person)
        posts = await s.read(person, "posts")
        assert len(posts) == 3
        assert sorted(label.name for label in await s.read(posts[0], "labels")) == ["a", "b"]
        assert (await s.read(person, "passport")).text == "x"
        assert [c.text for c in await s.read(posts[1], "comments")] == ["c"]


@scenario
async def test_circles_within_a_table(db: Database) -> None:
    ring = [Node(name=f"n{n}") for n in range(5)]
    for n, node in enumerate(ring):
        node.parent = ring[(n + 1) % 5]
    async with db.session() as s:
        await s.add(ring[0])
        await s.commit()
        assert [node.parent_id for node in ring] == [ring[(n + 1) % 5].id for n in range(5)]
    async with db.session() as s:
        for node in await s.all(Node):
            await s.delete(node)
        await s.commit()
        assert await s.all(Node) == []


@scenario
async def test_circles_between_tables(db: Database) -> None:
    async with db.session() as s:
        france = Country(code="fr")
        paris = City(name="Paris", country=france)
        france.capital = paris
        await s.add(france)
        await s.commit()
    async with db.session() as s:
        france = await s.get_one(Country, "fr")
        assert (await s.read(france, "capital")).name == "Paris"
        await s.delete(await s.get_one(City, "Paris"))
        await s.delete(france)
        await s.commit()
        assert await s.all(City) == await s.all(Country) == []


@scenario
async def test_a_tree_is_deleted_leaves_first(db: Database) -> None:
    await db.save(Node(name="r", children=[Node(name="a", children=[Node(name="b")]), Node(name="c")]))
    async with db.session() as s:
        for node in await s.all(Node):
            await s.delete(node)
        await s.commit()
        assert await done(s.query(Node).count()) == 0


@scenario
async def test_composite_keys(db: Database) -> None:
    async with db.session() as s:
        room = Room(house="A", number=1, name="hall", desks=[Desk(label="x"), Desk(label="y")])
        await s.add_all([room, Room(house="B", number=2)])
        await s.commit()
    async with db.session() as s:
        desks = await done(s.query(Desk).include(Desk.room).order_by(Desk.label).all())
        assert [(d.room_house, d.room_number, d.room.name) for d in desks] == [("A", 1, "hall")] * 2
        desks[0].room_house, desks[0].room_number = "B", 2
        await s.commit()
        if db.has("foreign_keys"):
            await s.delete(await s.get_one(Room, ("A", 1)))
            await s.commit()
            assert [d.label for d in await s.all(Desk)] == ["x"]
        assert (await s.get_one(Room, house="B", number=2)).name == ""


@scenario
async def test_natural_keys_and_server_defaults(db: Database) -> None:
    async with db.session() as s:
        settings = [Setting(name=f"s{n}") for n in range(5)] + [Setting(name="given", value="v")]
        await s.add_all(settings)
        await s.commit()
        assert [await s.read(each, "value") for each in settings] == ["unset"] * 5 + ["v"]
        assert await s.get(Setting, "s3") is settings[3]
        account = Account(owner="a")
        await s.add(account)
        await s.flush()
        assert (await s.read(account, "state"), account.version, account.balance) == ("open", 1, 0)


@scenario
async def test_one_to_one_from_both_sides(db: Database) -> None:
    async with db.session() as s:
        a, b = Person(name="a"), Person(name="b")
        p, q = Passport(text="p"), Passport(text="q")
        a.passport = p
        q.owner = b
        await s.add_all([a, q])
        await s.commit()
        assert (p.owner_id, q.owner_id) == (a.id, b.id)
        a.passport = None
        await s.commit()
        assert p.owner_id is None
        b.passport = p
        await s.commit()
    async with db.session() as s:
        rows = await done(s.query(Passport).include(Passport.owner).order_by(Passport.text).all())
        assert [(r.text, r.owner and r.owner.name) for r in rows] == [("p", "b"), ("q", None)]


@scenario
async def test_links_are_added_and_removed(db: Database) -> None:
    async with db.session() as s:
        post = Post(title="p")
        labels = [Label(name=f"l{n}") for n in range(5)]
        await s.add_all([post, *labels])
        await s.commit()
        post.labels.add(labels[0])
        labels[1].posts.add(post)
        await s.add_m2m(post, Post.labels, labels[2], labels[2])
        await s.add_m2m(post, "labels", labels[3])
        await s.commit()
        post.labels.add(labels[0])  # twice is no error
        await s.add_m2m(post, Post.labels, labels[1])
        await s.commit()
        assert sorted(x.name for x in await s.read(post, "labels")) == ["l0", "l1", "l2", "l3"]
        post.labels.remove(labels[0])
        await s.remove_m2m(post, Post.labels, labels[1])
        await s.commit()
    async with db.session() as s:
        post = (await s.all(Post))[0]
        assert sorted(x.name for x in await s.read(post, "labels")) == ["l2", "l3"]
        await s.clear_m2m(post, Post.labels)
        await s.commit()
        await s.refresh(post)
        assert await s.read(post, "labels") == []


@scenario
async def test_a_through_model_links_and_carries_columns(db: Database) -> None:
    async with db.session() as s:
        ann, bob, maths = Student(name="ann"), Student(name="bob"), Course(name="maths")
        await s.add(Enrolment(student=ann, course=maths, grade=1))
        bob.courses.add(maths)
        await s.add(bob)
        await s.commit()
    async with db.session() as s:
        (maths,) = await s.all(Course)
        assert sorted(x.name for x in await s.read(maths, "students")) == ["ann", "bob"]
        enrolment = await s.get_one(Enrolment, (ann.id, maths.id))
        assert enrolment.grade == 1
        await s.delete(enrolment)
        await s.commit()
        assert await done(s.query(Student).where(Student.courses.name == "maths").scalar()) is not None
        assert await done(s.query(Enrolment).count()) == 1


@scenario
async def test_changes_are_written_without_add(db: Database) -> None:
    await db.save(Post(title="b", meta={"a": {"b": [1]}}, words=["x"]), Person(name="a"))
    async with db.session() as s:
        (post,), (person,) = await s.all(Post), await s.all(Person)
        post.title = "new"
        post.meta["a"]["b"].append(2)
        post.words.append("y")
        post.author = person
        await s.commit()
    async with db.session() as s:
        (post,) = await s.all(Post)
        assert (post.title, post.meta, post.words, post.author_id) == (
            "new",
            {"a": {"b": [1, 2]}},
            ["x", "y"],
            person.id,
        )
        post.words = None
        post.author = None
        await s.commit()
    assert await db.rows(Select(Post.words, Post.author_id)) == [(None, None)]


@scenario
async def test_unchanged_objects_send_nothing(db: Database) -> None:
    await db.save(Post(title="b", meta={"a": 1}, words=["x"]))
    async with db.session() as s:
        (post,) = await s.all(Post)
        post.title = "b"
        post.meta = {"a": 1}
        post.words = ["x"]
        before = s.statements
        await s.commit()
        assert s.statements == before


@scenario
async def test_many_changed_rows_are_written_exactly(db: Database) -> None:
    await db.save(*[Post(title=f"t{n}", rating=n) for n in range(150)])
    async with db.session() as s:
        posts = await s.all(Post)
        for n, post in enumerate(posts):
            if n % 3 == 0:
                post.rating += 1_000
            if n % 2 == 0:
                post.title = f"new{n}"
        await s.commit()
    rows = await db.rows(Select(Post.title, Post.rating).order_by(Post.id))
    assert rows == [
        (f"new{n}" if n % 2 == 0 else f"t{n}", n + 1_000 if n % 3 == 0 else n) for n in range(150)
    ]


@pytest.mark.parametrize("size", [3, 60])
@scenario
async def test_statements_do_not_grow_with_rows(db: Database, size: int) -> None:
    async with db.session() as s:
        labels = [Label(name="a"), Label(name="b")]
        await s.add_all(
            [
                Person(name=f"p{n}", posts=[Post(title=f"t{n}-{m}", labels=labels) for m in range(2)])
                for n in range(size)
            ]
        )
        await s.flush()
        inserts = s.statements
        if not db.has("returning"):
            return  # each key is asked for on its own
        assert inserts == 4
        for post in await s.all(Post):
            post.rating = 5
        before = s.statements
        await s.flush()
        assert s.statements - before == 1
        for post in await s.all(Post):
            await s.delete(post)
        before = s.statements
        await s.flush()
        # Without foreign keys, the session itself looks for what refers to deleted rows.
        assert s.statements - before <= (3 if db.has("foreign_keys") else 4)
        await s.rollback()


@scenario
async def test_deleting_cascades(db: Database) -> None:
    db.needs("foreign_keys")
    await db.save(
        Post(title="t", comments=[Comment(text="a"), Comment(text="b")]),
        Post(title="u", comments=[Comment(text="c")]),
    )
    async with db.session() as s:
        post = (await s.all(Post, Post.title == "t"))[0]
        loaded = await s.read(post, "comments")
        await s.delete(post)
        await s.commit()
        assert len(loaded) == 2
        assert [c.text for c in await s.all(Comment)] == ["c"]
        assert await done(s.query(Post).where(Post.title == "u").delete()) == 1
        await s.commit()
        assert await s.all(Comment) == []


@scenario
async def test_deleting_sets_null(db: Database) -> None:
    db.needs("foreign_keys")
    await db.save(
        Person(name="p", posts=[Post(title="t")], passport=Passport(text="x"), pets=[Dog(name="d")])
    )
    async with db.session() as s:
        (person,) = await s.all(Person)
        await s.delete(person)
        await s.commit()
        assert [post.author_id for post in await s.all(Post)] == [None]
        assert await s.all(Passport) == []
        assert [animal.keeper_id for animal in await s.all(Animal)] == [None]


@scenario
async def test_deleting_is_restricted(db: Database) -> None:
    db.needs("foreign_keys")
    await db.save(Node(name="r", children=[Node(name="c")]))
    async with db.session() as s:
        root = (await s.all(Node, Node.name == "r"))[0]
        await s.delete(root)
        with pytest.raises(ForeignKeyError):
            await s.commit()
        await s.rollback()
        assert len(await s.all(Node)) == 2


@scenario
async def test_a_changed_key_is_written(db: Database) -> None:
    await db.save(Setting(name="old", value="v"), Room(house="A", number=1))
    async with db.session() as s:
        setting = await s.get_one(Setting, "old")
        setting.name = "new"
        room = await s.get_one(Room, ("A", 1))
        room.number = 7
        await s.commit()
        assert await s.get(Setting, "new") is setting
        assert await s.get(Setting, "old") is None
        assert await s.get(Room, ("A", 7)) is room
    assert await db.rows(Select(Setting.name, Setting.value)) == [("new", "v")]


@scenario
async def test_unique_values_swap(db: Database) -> None:
    people = [Person(name=f"p{n}", email=f"e{n}") for n in range(4)]
    await db.save(*people)
    async with db.session() as s:
        a, b, c, d = await s.all(Person)
        a.email, b.email, c.email = b.email, c.email, a.email
        await s.delete(d)
        await s.add(Person(name="n", email="e3"))
        await s.commit()
    rows = await db.rows(Select(Person.name, Person.email).order_by(Person.name))
    assert rows == [("n", "e3"), ("p0", "e1"), ("p1", "e2"), ("p2", "e0")]


@scenario
async def test_a_version_counts_up(db: Database) -> None:
    await db.save(Account(owner="a"))
    async with db.session() as s:
        (account,) = await s.all(Account)
        for expected in (2, 3):
            account.balance += 1
            await s.commit()
            assert account.version == expected
        assert await done(s.query(Account).where(Account.owner == "a").update(balance=9)) == 1
        await s.commit()
    assert await db.rows(Select(Account.balance, Account.version)) == [(9, 4)]


@scenario
async def test_values_set_at_every_update(db: Database) -> None:
    await db.save(Account(owner="a"))
    async with db.session() as s:
        (account,) = await s.all(Account)
        assert account.changes == 0
        account.balance = 5
        await s.commit()
        assert account.changes == 99
    assert await db.rows(Select(Account.changes)) == [(99,)]


@scenario
async def test_a_row_that_changed_meanwhile_is_stale(db: Database) -> None:
    await db.save(Account(owner="a"), Account(owner="b"))
    async with db.session() as s:
        accounts = await s.all(Account)
        await s.commit()
        async with db.session() as other:
            (same,) = await other.all(Account, Account.owner == "b")
            same.balance = 7
            await other.commit()
        for account in accounts:
            account.balance = 1
        with pytest.raises(StaleDataError):
            await s.commit()
        await s.rollback()
        await s.refresh(accounts[1])
        assert accounts[1].balance == 7
        accounts[1].balance = 8
        await s.commit()
    assert await db.rows(Select(Account.balance).order_by(Account.owner)) == [(0,), (8,)]


@scenario
async def test_a_row_that_went_meanwhile_is_stale(db: Database) -> None:
    await db.save(Label(name="a"), Label(name="b"))
    for change in ("update", "delete"):
        async with db.session() as s:
            found = (await s.all(Label))[-1]
            await s.commit()
            async with db.session() as other:
                await done(other.query(Label).where(Label.id == found.id).delete())
                await other.commit()
            if change == "update":
                found.name = "new"
            else:
                await s.delete(found)
            with pytest.raises(StaleDataError):
                await s.commit()
            await s.rollback()


@scenario
async def test_get_or_create(db: Database) -> None:
    async with db.session() as s:
        label, created = await s.get_or_create(Label, name="x")
        assert created
        assert (await s.get_or_create(Label, name="x")) == (label, False)
        person, created = await s.get_or_create(Person, email="e", defaults={"name": "n"})
        assert (person.name, created) == ("n", True)
        await s.commit()
    assert await db.rows(Select(Label.name)) == [("x",)]


@scenario
async def test_merge_and_refresh(db: Database) -> None:
    await db.save(Document(title="t", text="long"))
    async with db.session() as s:
        (document,) = await s.all(Document)
        await s.refresh(document, "text")
        assert document.text == "long"
    document.title = "merged"
    async with db.session() as s:
        merged = await s.merge(document)
        assert merged is not document
        await s.commit()
        async with db.session() as other:
            await done(other.query(Document).all_rows().update(title="theirs"))
            await other.commit()
        await s.refresh(merged)
        assert merged.title == "theirs"


@scenario
async def test_hierarchies_in_one_table(db: Database) -> None:
    await db.save(Dog(name="d", bark="wau"), Puppy(name="p", weeks=3), Cat(name="c"), Animal(name="a"))
    async with db.session() as s:
        found = await done(s.query(Animal).order_by("name").all())
        assert [type(x).__name__ for x in found] == ["Animal", "Cat", "Dog", "Puppy"]
        assert sorted(x.name for x in await s.all(Dog)) == ["d", "p"]
        assert await done(s.query(Cat).count()) == 1
        assert [x.name for x in await s.all(Puppy, Puppy.weeks < 5)] == ["p"]
        found[2].bark = "wuff"
        await s.delete(found[1])
        await s.commit()
        assert await done(s.query(Dog).where(Dog.name == "d").update(bark="x")) == 1
        assert found[2].bark == "x"
        assert await done(s.query(Animal).count()) == 3


@scenario
async def test_hierarchies_in_joined_tables(db: Database) -> None:
    await db.save(Car(name="c", doors=3), Taxi(name="t", sign="S"), Boat(name="b"), Vehicle(name="v"))
    async with db.session() as s:
        found = await done(s.query(Vehicle).order_by("name").all())
        assert [type(x).__name__ for x in found] == ["Boat", "Car", "Taxi", "Vehicle"]
        assert (found[1].doors, found[2].doors, found[2].sign) == (3, 5, "S")
        assert [x.name for x in await s.all(Car, Car.doors == 3)] == ["c"]
        found[2].sign, found[2].doors, found[2].name = "T", 4, "taxi"
        await s.delete(found[0])
        await s.commit()
        assert found[2].version == 2
        assert await done(s.query(Taxi).where(Taxi.doors == 4).update(sign="U")) == 1
        await s.bulk_insert([Car(name="x"), Taxi(name="y")])
        await s.commit()
    async with db.session() as s:
        assert sorted(x.name for x in await s.all(Car)) == ["c", "taxi", "x", "y"]
        taxi = await s.get_one(Vehicle, found[2].id)
        assert (taxi.sign, taxi.doors) == ("U", 4)
        assert await done(s.query(Vehicle).count()) == 5
        with pytest.raises(UniqueError):
            await s.bulk_insert([Car(id=taxi.id, name="twice")])
        await s.rollback()
