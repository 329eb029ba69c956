"""Links and changed rows of a `through` model with flushes and savepoints, against a plain dictionary."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blaze import AsyncSession, Engine, Session, create_all
from tests.persistence import test_through as models
from tests.persistence.twins import Twin
from tests.support import loops

pytestmark = pytest.mark.requirement("R21", "R52", "R54")

Club: Any = models.Club
Person: Any = models.Person
Membership: Any = models.Membership
Rows = dict[tuple[int, int], int]  # the level of each link
SIZE = 3
EXAMPLES = 40
number = st.integers(1, SIZE)
pairs = st.tuples(number, number)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["link", "link back", "unlink", "unlink back", "add", "delete"]), pairs),
        st.tuples(st.just("level"), pairs, st.integers(4, 9)),
        st.tuples(st.sampled_from(["move by relation", "move by key"]), pairs, pairs),
        st.tuples(st.sampled_from(["enter", "leave", "abandon", "flush", "read", "commit", "rollback"])),
    ),
    max_size=14,
)


class History:
    """A session, and what its transaction should have written by now."""

    def __init__(self, s: Twin, flushes: str) -> None:
        self.s = s
        # "each" change is flushed, several of different "pairs" at once, or "any" changes: of one pair the
        # flush takes links before rows, whatever came first, so that the rows themselves are asked then.
        self.flushes = flushes
        self.rows: Rows = {}
        self.committed: Rows = {}
        self.savepoints: list[tuple[Any, Rows]] = []
        self.touched: set[tuple[int, int]] = set()  # pairs that changed since the last flush

    async def begin(self) -> None:
        self.clubs = {n: Club(id=n) for n in range(1, SIZE + 1)}
        self.people = {n: Person(id=n) for n in range(1, SIZE + 1)}
        await self.s.add_all([*self.clubs.values(), *self.people.values()])
        await self.s.commit()
        await self.check()

    async def run(self, steps: list[Any]) -> None:
        for step, *values in steps:
            if step in ("enter", "leave", "abandon", "flush", "read", "commit", "rollback"):
                await getattr(self, step)()
                continue
            if self.flushes == "pairs" and self.touched.intersection(values):
                await self.flush()
            await self.change(step, *values)
            self.touched.update(v for v in values if isinstance(v, tuple))
            if self.flushes == "each":
                await self.flush()
        while self.savepoints:
            await self.leave()
        await self.commit()

    async def change(self, step: str, pair: tuple[int, int], value: Any = None) -> None:
        club, person = self.clubs[pair[0]], self.people[pair[1]]
        if step in ("link", "link back"):
            club.members.add(person) if step == "link" else person.clubs.add(club)
            self.rows.setdefault(pair, 3)
        elif step in ("unlink", "unlink back"):
            club.members.remove(person) if step == "unlink" else person.clubs.remove(club)
            self.rows.pop(pair, None)
        elif step == "add":
            if pair not in self.rows:
                await self.s.add(Membership(club=club, person=person, level=8))
                self.rows[pair] = 8
        elif pair in self.rows:
            with self.s.session.no_autoflush():
                membership = await self.s.get(Membership, pair)
            if membership is None:  # a list will link the pair, or has unlinked it
                assert self.flushes == "any"
            elif step == "delete":
                await self.s.delete(membership)
                del self.rows[pair]
            elif step == "level":
                membership.level = value
                self.rows[pair] = value
            elif value not in self.rows:
                if step == "move by key":
                    membership.club_id, membership.person_id = value
                else:
                    membership.club, membership.person = self.clubs[value[0]], self.people[value[1]]
                self.rows[value] = self.rows.pop(pair)

    async def flush(self) -> None:
        await self.s.flush()
        self.touched.clear()
        if self.flushes == "any":
            self.rows = await self.stored()
        await self.check()

    async def stored(self) -> Rows:
        found = await self.s.execute("SELECT club_id, person_id, level FROM membership")
        return {(row[0], row[1]): row[2] for row in found.all()}

    async def read(self) -> None:
        await self.flush()
        for owner, name in self.lists():
            await self.s.read(owner, name)

    async def enter(self) -> None:
        await self.flush()
        block = self.s.session.transaction()
        await (block.__aenter__() if self.s.session.asynchronous else self.call(block.__enter__))
        self.savepoints.append((block, dict(self.rows)))

    async def call(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    async def end(self, error: Any) -> Rows:
        block, rows = self.savepoints.pop()
        given = (None, None, None) if error is None else (type(error), error, None)
        if self.s.session.asynchronous:
            await block.__aexit__(*given)
        else:
            block.__exit__(*given)
        self.touched.clear()
        return rows

    async def leave(self) -> None:
        if self.savepoints:
            await self.flush()
            await self.end(None)
            if not self.savepoints:
                self.committed = dict(self.rows)
            await self.check()

    async def abandon(self) -> None:
        if self.savepoints:
            rows = await self.end(ZeroDivisionError())
            self.rows = rows if self.savepoints else dict(self.committed)
            await self.check()

    async def commit(self) -> None:
        if not self.savepoints:
            await self.flush()
            await self.s.commit()
            self.touched.clear()
            self.committed = dict(self.rows)
            await self.check()

    async def rollback(self) -> None:
        if not self.savepoints:
            await self.s.rollback()
            self.touched.clear()
            self.rows = dict(self.committed)
            await self.check()

    def lists(self) -> list[tuple[Any, str]]:
        found = [(club, name) for club in self.clubs.values() for name in ("members", "memberships")]
        return found + [(o, name) for o in self.people.values() for name in ("clubs", "memberships")]

    async def check(self) -> None:
        s = self.s
        assert await self.stored() == self.rows
        wanted = set(self.rows)
        shown: dict[str, set[tuple[int, int]]] = {"members": set(), "clubs": set()}
        for club in self.clubs.values():
            shown["members"].update((club.id, o.id) for o in await s.read(club, "members"))
            held = [(o.club_id, o.person_id) for o in await s.read(club, "memberships")]
            assert sorted(held) == sorted(pair for pair in wanted if pair[0] == club.id)
        for person in self.people.values():
            shown["clubs"].update((o.id, person.id) for o in await s.read(person, "clubs"))
            held = [(o.club_id, o.person_id) for o in await s.read(person, "memberships")]
            assert sorted(held) == sorted(pair for pair in wanted if pair[1] == person.id)
        assert shown == {"members": wanted, "clubs": wanted}
        found = {(o.club_id, o.person_id): o.level for o in await s.do(lambda _: s.query(Membership).all())}
        assert found == self.rows


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("flushes", ["each", "pairs", "any"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(steps=STEPS)
def test_links_do_what_a_dictionary_does(kind: str, flushes: str, steps: list[Any]) -> None:
    async def run() -> None:
        engine = Engine("sqlite://")
        if kind == "sync":
            create_all(engine, [Club, Person, Membership])
            with Session(engine, performance_threshold=0) as session:
                history = History(Twin(session), flushes)
                await history.begin()
                await history.run(steps)
            engine.dispose()
        else:
            async with AsyncSession(engine, performance_threshold=0) as session:
                await session.create_all(Club, Person, Membership)
                await session.commit()
                history = History(Twin(session), flushes)
                await history.begin()
                await history.run(steps)
            await engine.adispose()

    loops.run(run())
