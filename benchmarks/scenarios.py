"""The scenarios: their data, their work, what must come out, and the target.

`ratio` scenarios are timed per item and compared with raw+object round by round; `absolute` ones are
figures with a unit, which `probes` and `startup` take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Optional

from benchmarks import verify
from benchmarks.contenders.contender import Change, Contender
from benchmarks.data import Library, item_rows, library
from benchmarks.limits import Limit, limit

Observe = Callable[[Contender, Any], verify.Rows]


@dataclass(frozen=True)
class Dataset:
    """The rows a database starts with; `library` is (publishers, authors each, books each, tags per book)."""

    items: int = 0
    library: tuple[int, int, int, int] = (0, 0, 0, 0)

    def related(self) -> Library:
        return library(*self.library)


@dataclass(frozen=True)
class Work:
    """One scenario at one size: how the contender's method is called and what is right."""

    count: int  # items, the divisor of the time
    args: Callable[[bool], tuple[Any, ...]]  # arguments of the method, given whether datetimes are aware
    expected: Callable[[], verify.Rows]
    observe: Observe
    dataset: Dataset


@dataclass(frozen=True)
class Scenario:
    name: str
    work: Callable[[int], Work]  # the argument divides the size (1, or more for --quick)
    item: str  # what one item is
    writes: bool = False
    repeats: int = 1  # timed runs per round, of which the fastest counts: more for the short ones
    asynchronous: bool = False

    @property
    def limit(self) -> Limit:
        """What is to be reached."""
        return limit(self.name)


@dataclass(frozen=True)
class Probe:
    """An absolute figure: taken by `probes`/`startup` under this name."""

    name: str
    unit: str
    target: Optional[float]
    best_known: Optional[tuple[str, float]] = None
    contenders: tuple[str, ...] = ("raw", "blaze", "sqlalchemy", "peewee")


ITEMS = 10_000


def changes(count: int) -> list[Change]:
    return [(key, key * 7 % 1000 + 1000, f"changed {key}") for key in range(1, count + 1)]


def changed(items: int, count: int) -> verify.Rows:
    rows = item_rows(items)
    for key, quantity, name in changes(count):
        rows[key - 1]["quantity"] = quantity
        rows[key - 1]["name"] = name
    return verify.rows_with_ids(rows)


def inserting(count: int, *, keys: bool) -> Callable[[int], Work]:
    def work(divisor: int) -> Work:
        number = count // divisor
        observe: Observe = (
            (lambda contender, stored: verify.table_and_keys(contender, stored))
            if keys
            else (lambda contender, _: verify.table(contender))
        )
        return Work(
            number,
            lambda aware: (item_rows(number, aware=aware),),
            lambda: verify.rows_with_ids(item_rows(number)),
            observe,
            Dataset(),
        )

    return work


def updating(count: int) -> Callable[[int], Work]:
    def work(divisor: int) -> Work:
        number, items = count // divisor, ITEMS // divisor
        return Work(
            number,
            lambda aware: (changes(number),),
            lambda: changed(items, number),
            lambda contender, _: verify.table(contender),
            Dataset(items),
        )

    return work


def deleting(count: int) -> Callable[[int], Work]:
    def work(divisor: int) -> Work:
        number, items = count // divisor, ITEMS // divisor
        return Work(
            number,
            lambda aware: (number,),
            lambda: verify.rows_with_ids(item_rows(items))[number:],
            lambda contender, _: verify.table(contender),
            Dataset(items),
        )

    return work


def reading_all(divisor: int) -> Work:
    items = ITEMS // divisor
    return Work(
        items,
        lambda aware: (),
        lambda: verify.rows_with_ids(item_rows(items)),
        lambda contender, found: verify.objects(found),
        Dataset(items),
    )


def reading_ranges(divisor: int) -> Work:
    number = 500 // divisor
    return Work(
        number,
        lambda aware: ([(low, low + 20) for low in range(0, number * 20, 20)],),
        lambda: verify.rows_with_ids(item_rows(number * 20)),
        lambda contender, found: verify.objects([item for part in found for item in part]),
        Dataset(number * 20),
    )


def getting(keys: Callable[[int], list[int]]) -> Callable[[int], Work]:
    def work(divisor: int) -> Work:
        wanted = keys(divisor)

        def expected() -> verify.Rows:
            rows = verify.rows_with_ids(item_rows(max(wanted)))
            return [rows[key - 1] for key in wanted]

        return Work(
            len(wanted),
            lambda aware: (wanted,),
            expected,
            lambda contender, found: verify.objects(found),
            Dataset(ITEMS // divisor),
        )

    return work


def relating(
    shape: tuple[int, int, int, int],
    count: Callable[[Library], int],
    expected: Callable[[Library], verify.Rows],
    observe: Observe,
) -> Callable[[int], Work]:
    def work(divisor: int) -> Work:
        dataset = Dataset(library=(shape[0] // divisor, *shape[1:]))
        related = dataset.related()
        return Work(count(related), lambda aware: (), lambda: expected(related), observe, dataset)

    return work


def scattered(divisor: int) -> list[int]:
    """1,000 different keys, out of order."""
    return [step * 7919 % (ITEMS // divisor) + 1 for step in range(1000 // divisor)]


def repeated(divisor: int) -> list[int]:
    """50 keys, each asked for 100 times: a request that looks at the same few objects."""
    return [step * 37 % (ITEMS // divisor) + 1 for _ in range(100) for step in range(50 // divisor)]


def known(divisor: int) -> list[int]:
    """100 keys, each asked for 200 times."""
    return [step % 100 + 1 for step in range(20_000 // divisor)]


def books(related: Library) -> int:
    return len(related.books)


AUTHORS_BOOKS = (50, 10, 10, 0)  # 500 authors with 10 books each

JOINED = relating(AUTHORS_BOOKS, books, verify.joined_expected, lambda _, found: verify.joined(found))
WITH_BOOKS = relating(
    AUTHORS_BOOKS, books, verify.with_books_expected, lambda _, found: verify.with_books(found)
)
NESTED = relating((200, 5, 5, 0), books, verify.nested_expected, lambda _, found: verify.nested(found))
TAGGED = relating((10, 10, 5, 5), books, verify.tagged_expected, verify.tagged)

SCENARIOS = [
    Scenario("insert_one", inserting(500, keys=True), "object", writes=True),
    Scenario("insert_uow", inserting(1000, keys=True), "object", writes=True, repeats=3),
    Scenario("insert_bulk", inserting(10_000, keys=False), "row", writes=True),
    Scenario("bulk_insert", inserting(10_000, keys=False), "object", writes=True),
    Scenario("read_all", reading_all, "object", repeats=2),
    Scenario("read_and_use", reading_all, "object", repeats=2),
    Scenario("read_filter", reading_ranges, "query", repeats=2),
    Scenario("get_pk", getting(scattered), "get", repeats=3),
    Scenario("get_pk_identity", getting(repeated), "get", repeats=5),
    Scenario("get_pk_hits", getting(known), "get", repeats=3),
    Scenario("join_eager_fk", JOINED, "book", repeats=3),
    Scenario("prefetch_o2m", WITH_BOOKS, "child", repeats=3),
    Scenario("prefetch_o2m_nested", NESTED, "grandchild", repeats=3),
    Scenario("prefetch_m2m", TAGGED, "book", repeats=3),
    Scenario("update_uow", updating(1000), "object", writes=True, repeats=3),
    Scenario("bulk_update", updating(3000), "object", writes=True, repeats=3),
    Scenario("delete_uow", deleting(500), "object", writes=True, repeats=3),
]

# The same work through sessions and drivers that are awaited.
TWINS = (
    "insert_one",
    "insert_uow",
    "insert_bulk",
    "read_all",
    "read_filter",
    "get_pk",
    "join_eager_fk",
    "prefetch_o2m",
    "prefetch_m2m",
    "update_uow",
    "delete_uow",
)
SCENARIOS += [
    replace(scenario, name=f"async_{scenario.name}", asynchronous=True)
    for scenario in SCENARIOS
    if scenario.name in TWINS
]
SCENARIOS.append(Scenario("concurrency", getting(scattered), "get", repeats=3, asynchronous=True))

PROBES = [
    Probe("query_build", "µs", 10, ("Pony", 22), contenders=("blaze", "sqlalchemy", "peewee")),
    Probe("memory", "bytes", 250, ("Piccolo", 683)),
    Probe("attribute_read", "ns", 15, ("Tortoise", 3)),
    Probe("attribute_write", "ns", 100, ("Django", 23)),
    Probe("attribute_first_write", "ns", None),
    Probe("constructor", "µs", 2, ("Peewee", 2.2)),
    Probe("import", "ms", 80, ("BlazeORM", 61)),
]
