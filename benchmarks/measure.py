"""Time a scenario: interleaved rounds, every contender in each, in rotating order."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

from benchmarks import verify
from benchmarks.contenders.contender import Contender
from benchmarks.data import item_rows
from benchmarks.databases import Place
from benchmarks.scenarios import Dataset, Scenario, Work

LONG = 0.2  # seconds: who has run this long in a round is not run again
FAR, SELDOM = 20, 3  # who takes a second and 20 times raw's time takes part in every third round


@dataclass
class Result:
    """A scenario's figures: seconds per item by round, or what went wrong."""

    scenario: Scenario
    count: int
    rounds: dict[str, dict[int, float]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Return the median of the rounds, in microseconds per item."""
        return statistics.median(self.rounds[name].values()) * 1e6

    def ratio(self, name: str) -> float:
        """Return the median of the round-by-round ratios to raw."""
        raw = self.rounds["raw"]
        return statistics.median(time / raw[number] for number, time in self.rounds[name].items())


@contextmanager
def contenders_open(
    classes: dict[str, Any], dataset: Dataset, place: Place
) -> Iterator[dict[str, Contender]]:
    """Give every contender a database of its own with tables and data, and keep what `restore` needs."""
    opened: dict[str, Contender] = {}
    with ExitStack() as stack:
        for name, contender_class in classes.items():
            database = stack.enter_context(place.database(name))
            opened[name] = contender_class(database)
            stack.callback(opened[name].close)
            fill(opened[name], dataset)
        yield opened


def fill(contender: Contender, dataset: Dataset) -> None:
    if dataset.items:
        contender.seed_items(item_rows(dataset.items, aware=contender.aware))
    if dataset.library[0]:
        contender.seed_library(dataset.related())
    contender.database.snapshot()


class Databases:
    """Lends the contenders with their databases; scenarios that follow each other share those they can.

    That is: the same contenders over the same data, reads only or writes only (they restore before each run),
    and nobody has failed on them.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.stack = ExitStack()
        self.key: Any = None
        self.opened: dict[str, Contender] = {}

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what is open."""
        self.key = None
        self.opened = {}
        self.stack.close()

    def lend(self, scenario: Scenario, dataset: Dataset, classes: dict[str, Any]) -> dict[str, Contender]:
        """Return the contenders that take part in a scenario."""
        key = (dataset, scenario.writes, scenario.asynchronous, list(classes.items()))
        if key != self.key:
            self.close()
            self.opened = self.stack.enter_context(contenders_open(classes, dataset, self.place))
            self.key = key
        return {name: entry for name, entry in self.opened.items() if hasattr(entry, scenario.name)}


def timed(run: Any) -> tuple[float, Any]:
    """Time one run; it pays for the garbage collection of its own objects only.

    What stays frozen from before is not walked again: `thawed` undoes that once a round.
    """
    gc.collect()
    gc.freeze()
    started = perf_counter()
    result = run()
    return perf_counter() - started, result


@contextmanager
def thawed() -> Iterator[None]:
    """Give what the timed runs inside froze back to the collector at the end."""
    try:
        yield
    finally:
        gc.unfreeze()


def one_round(
    scenario: Scenario, contender: Contender, args: tuple[Any, ...], repeats: int
) -> tuple[float, Any]:
    """Return the fastest of the round's runs and what the last one returned; a long run is not repeated."""
    times: list[float] = []
    result = None
    while len(times) < repeats and sum(times) < LONG:
        result = None
        if scenario.writes:
            contender.database.restore()
        run = getattr(contender, scenario.name)(*args)
        seconds, result = timed(run)
        times.append(seconds)
    return min(times), result


def measure(
    scenario: Scenario, work: Work, classes: dict[str, Any], rounds: int, databases: Databases
) -> Result:
    """Run `rounds` counted rounds after a warm-up; verify the data of the warm-up and of the last round."""
    result = Result(scenario, work.count)
    expected = verify.Expected(work.expected())
    opened = databases.lend(scenario, work.dataset, classes)
    arguments = {name: work.args(contender.aware) for name, contender in opened.items()}
    names = list(opened)
    seldom: set[str] = set()
    for number in range(rounds + 1):
        shift = number % len(names)
        proven = number in (0, rounds)
        times: dict[str, float] = {}
        with thawed():
            for name in names[shift:] + names[:shift]:
                if name in result.errors or (name in seldom and number % SELDOM and not proven):
                    continue
                try:
                    repeats = scenario.repeats if number else 1
                    times[name], outcome = one_round(scenario, opened[name], arguments[name], repeats)
                    if proven:
                        observe = partial(work.observe, opened[name], outcome)
                        result.digests[name] = verify.check(scenario.name, opened[name], observe, expected)
                except Exception as error:
                    if name == "raw":
                        raise
                    result.errors[name] = f"{type(error).__name__}: {error}"
                    result.rounds.pop(name, None)
                    times.pop(name, None)
        if number:
            for name, seconds in times.items():
                result.rounds.setdefault(name, {})[number] = seconds / work.count
        else:
            seldom = {name for name, seconds in times.items() if seconds > max(1, FAR * times["raw"])}
    if result.errors:
        databases.close()
    return result
