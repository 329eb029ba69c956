"""Absolute figures: building a query, memory per object, attributes, constructor."""

from __future__ import annotations

import gc
import statistics
import sys
import timeit
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks import verify
from benchmarks.contenders.contender import Contender
from benchmarks.data import ITEM_COLUMNS, item_rows
from benchmarks.databases import Place
from benchmarks.measure import contenders_open
from benchmarks.scenarios import AUTHORS_BOOKS, Dataset

UNROLLED = 20


def best_of(statement: str, names: dict[str, Any], number: int, rounds: int, unrolled: int = 1) -> float:
    """Return the median over rounds of seconds per execution; each caller compiles code of its own."""
    timer = timeit.Timer(";".join([statement] * unrolled), globals=names)
    timer.timeit(number // 10 or 1)
    return statistics.median(timer.timeit(number) for _ in range(rounds)) / number / unrolled


def query_build(classes: dict[str, Any], rounds: int, divisor: int, place: Place) -> dict[str, float]:
    """Microseconds from the first call to SQL text and parameters: 3 joins, 6 predicates, changing values."""
    dataset = Dataset(library=(AUTHORS_BOOKS[0] // divisor, *AUTHORS_BOOKS[1:]))
    figures = {}
    with contenders_open(classes, dataset, place) as opened:
        for name, contender in opened.items():
            build = contender.query_build()  # type: ignore[attr-defined]
            expected = verify.Expected(verify.query_expected(dataset.related(), 200, 1960))
            verify.check(
                "query_build",
                contender,
                partial(verify.query_result, contender, build(200, 1960)),
                expected,
            )
            names = {"build": build, "values": list(range(100, 1000))}
            seconds = best_of("for n in values: build(n, n + 1000)", names, 1, rounds)
            figures[name] = seconds / len(names["values"]) * 1e6
    return figures


def values_size(items: Iterable[Any], columns: Iterable[str]) -> int:
    """Return the bytes of all values of objects loaded since tracemalloc started, each counted once."""
    seen: set[int] = set()
    total = 0
    names = list(columns)
    pending = [getattr(item, name) for item in items for name in names]
    while pending:
        value = pending.pop()
        if id(value) in seen or tracemalloc.get_object_traceback(value) is None:
            continue
        seen.add(id(value))
        total += sys.getsizeof(value)
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value
    return total


def memory(classes: dict[str, Any], rounds: int, divisor: int, place: Place) -> dict[str, float]:
    """Bytes per loaded object with its session, less the size of the values as raw holds them."""
    count = 10_000 // divisor
    figures: dict[str, float] = {}
    values = 0.0
    order = sorted(classes, key=lambda name: name != "raw")
    with contenders_open(classes, Dataset(count), place) as opened:
        for name in order:
            contender = opened[name]
            with holding(contender):
                pass  # caches are filled now
            gc.collect()
            tracemalloc.start()
            with holding(contender) as items:
                gc.collect()
                traced = tracemalloc.get_traced_memory()[0] / count
                if name == "raw":
                    values = values_size(items, ITEM_COLUMNS) / count
                tracemalloc.stop()
                figures[name] = traced - values
                verify.check(
                    "memory",
                    contender,
                    partial(verify.objects, items),
                    verify.Expected(verify.rows_with_ids(item_rows(count))),
                )
            del items
    return figures


@contextmanager
def holding(contender: Contender) -> Iterator[list[Any]]:
    """Give all items in their open session and close it."""
    session, items = contender.hold_items()
    yield items
    session.close()


def with_items(
    classes: dict[str, Any], place: Place, probe: Callable[[Contender], float]
) -> dict[str, float]:
    """Call the probe with every contender over 1,000 items."""
    with contenders_open(classes, Dataset(1000), place) as opened:
        return {name: probe(contender) for name, contender in opened.items()}


def per_item(statement: str, contender: Contender, rounds: int) -> float:
    """Return the nanoseconds of a statement on one loaded `item`, less those of an empty loop."""
    with holding(contender) as items:
        full = best_of(statement, {"item": items[0], "value": 4711}, 20_000, rounds, UNROLLED)
    return (full - best_of("pass", {}, 20_000, rounds, UNROLLED)) * 1e9


def attribute_read(classes: dict[str, Any], rounds: int, divisor: int, place: Place) -> dict[str, float]:
    """Nanoseconds to read a column of a loaded object."""
    return with_items(classes, place, lambda contender: per_item("item.name", contender, rounds))


def attribute_write(classes: dict[str, Any], rounds: int, divisor: int, place: Place) -> dict[str, float]:
    """Nanoseconds to set a column of a loaded object that is changed already."""
    return with_items(classes, place, lambda contender: per_item("item.quantity = value", contender, rounds))


def attribute_first_write(
    classes: dict[str, Any], rounds: int, divisor: int, place: Place
) -> dict[str, float]:
    """Nanoseconds to set a column of a loaded, unchanged object: each round loads 1,000 anew."""

    def probe(contender: Contender) -> float:
        times = []
        for _ in range(rounds):
            with holding(contender) as items:
                names = {"items": items}
                loop = timeit.Timer("for item in items: pass", globals=names).timeit(1)
                write = timeit.Timer("for item in items: item.quantity = 4711", globals=names).timeit(1)
            times.append((write - loop) / len(items))
        return statistics.median(times) * 1e9

    return with_items(classes, place, probe)


def constructor(classes: dict[str, Any], rounds: int, divisor: int, place: Place) -> dict[str, float]:
    """Microseconds for `Model(**nine_keywords)`."""

    def probe(contender: Contender) -> float:
        [row] = item_rows(1, aware=contender.aware)
        return best_of("Item(**row)", {"Item": contender.item_class(), "row": row}, 10_000, rounds) * 1e6

    return with_items(classes, place, probe)
