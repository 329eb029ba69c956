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


@dataclass
class Result:
    """A scenario's figures: seconds per item of each round, or what went wrong."""

    scenario: Scenario
    count: int
    rounds: dict[str, list[float]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Return the median of the rounds, in microseconds per item."""
        return statistics.median(self.rounds[name]) * 1e6

    def ratio(self, name: str) -> float:
        """Return the median of the round-by-round ratios to raw."""
        return statistics.median(time / raw for time, raw in zip(self.rounds[name], self.rounds["raw"]))


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


def timed(run: Any) -> tuple[float, Any]:
    """Time one run; it pays for the garbage collection of its own objects only."""
    gc.collect()
    gc.freeze()
    started = perf_counter()
    result = run()
    seconds = perf_counter() - started
    gc.unfreeze()
    return seconds, result


def one_round(scenario: Scenario, contender: Contender, args: tuple[Any, ...]) -> tuple[float, Any]:
    """Return the fastest of the round's runs and what the last one returned."""
    best = float("inf")
    result = None
    for _ in range(scenario.repeats):
        result = None
        if scenario.writes:
            contender.database.restore()
        run = getattr(contender, scenario.name)(*args)
        seconds, result = timed(run)
        best = min(best, seconds)
    return best, result


def measure(scenario: Scenario, work: Work, classes: dict[str, Any], rounds: int, place: Place) -> Result:
    """Run `rounds` counted rounds after a warm-up; verify the data of the warm-up and of the last round."""
    result = Result(scenario, work.count)
    classes = {name: entry for name, entry in classes.items() if hasattr(entry, scenario.name)}
    expected = work.expected()
    with contenders_open(classes, work.dataset, place) as opened:
        arguments = {name: work.args(contender.aware) for name, contender in opened.items()}
        names = list(opened)
        for number in range(rounds + 1):
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                if name in result.errors:
                    continue
                contender = opened[name]
                try:
                    seconds, outcome = one_round(scenario, contender, arguments[name])
                    if number in (0, rounds):
                        result.digests[name] = verify.check(
                            scenario.name,
                            contender,
                            partial(work.observe, contender, outcome),
                            expected,
                        )
                except Exception as error:
                    if name == "raw":
                        raise
                    result.errors[name] = f"{type(error).__name__}: {error}"
                    result.rounds.pop(name, None)
                    continue
                if number:
                    result.rounds.setdefault(name, []).append(seconds / work.count)
    return result
