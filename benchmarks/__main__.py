"""`python -m benchmarks`: run the scenarios and print the table."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from rich.console import Console

from benchmarks import probes, report, startup
from benchmarks.contenders import CONTENDERS, load
from benchmarks.databases import BACKENDS, Place
from benchmarks.measure import Databases, measure
from benchmarks.scenarios import PROBES, SCENARIOS

Take = Callable[[dict[str, Any], int, int, Place], dict[str, float]]

TAKE: dict[str, Take] = {
    "query_build": probes.query_build,
    "memory": probes.memory,
    "attribute_read": probes.attribute_read,
    "attribute_write": probes.attribute_write,
    "attribute_first_write": probes.attribute_first_write,
    "constructor": probes.constructor,
    "import": startup.import_time,
}
NAMES = [scenario.name for scenario in SCENARIOS] + [probe.name for probe in PROBES]


def usual(backend: str) -> list[str]:
    """Return what runs by default: what a server cannot change is measured on SQLite only."""
    if backend == "sqlite":
        return [name for name in NAMES if name != "concurrency"]
    return [scenario.name for scenario in SCENARIOS]


def chosen(text: str, known: list[str], what: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def rounds_of(text: str) -> int:
    """Return a number of rounds; without one there is no figure."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"rounds must be 1 or more, not {text}")
    return int(text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Blaze beside its peers."
    )
    parser.add_argument("--only", help="scenarios, by name and comma")
    parser.add_argument("--contenders", help=f"of {','.join(CONTENDERS)}; default: all that can be imported")
    parser.add_argument(
        "--rounds", type=rounds_of, help="counted rounds per scenario; default 9 (3 with --quick)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a fifth of the size, three rounds: to see it run"
    )
    parser.add_argument("--backend", choices=BACKENDS, default="sqlite")
    parser.add_argument(
        "--server",
        metavar="DSN",
        help="its user may create databases; default: BLAZE_TEST_POSTGRES, BLAZE_TEST_MYSQL or this machine",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures, the rounds included")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as README.md has it")
    parser.add_argument(
        "--merge", type=Path, metavar="FILE", help="keep those rows of an earlier --json that are not run now"
    )
    return parser.parse_args()


def loaded(names: list[str], backend: str, *, asynchronous: bool, required: bool) -> dict[str, Any]:
    """Return the contenders' classes; one that cannot be imported is left out unless it was asked for."""
    classes = {}
    for name in names:
        if CONTENDERS[name][asynchronous]:
            try:
                classes[name] = load(name, backend, asynchronous=asynchronous)
            except ImportError as error:
                if required:
                    raise
                print(f"without {name}: {error}", file=sys.stderr)
    return classes


def one_by_one(
    take: Take, classes: dict[str, Any], rounds: int, divisor: int, place: Place
) -> tuple[dict[str, float], dict[str, str]]:
    """Take a figure of every contender (raw's first: others are read against it); keep errors beside them."""
    figures: dict[str, float] = {}
    errors: dict[str, str] = {}
    for name in classes:
        subset = {key: entry for key, entry in classes.items() if key in ("raw", name)}
        try:
            figures[name] = take(subset, rounds, divisor, place)[name]
        except Exception as error:
            errors[name] = f"{type(error).__name__}: {error}"
    return figures, errors


def taken(
    only: list[str],
    classes: dict[str, Any],
    awaited: dict[str, Any],
    rounds: int,
    divisor: int,
    place: Place,
    announce: Callable[[str], Any],
) -> Iterator[report.Line]:
    """Yield the line of every scenario and probe as soon as it is measured."""
    with Databases(place) as databases:
        for scenario in SCENARIOS:
            if scenario.name in only:
                announce(scenario.name)
                taking = awaited if scenario.asynchronous else classes
                result = measure(scenario, scenario.work(divisor), taking, rounds, databases)
                yield report.from_result(result, place.backend)
    for probe in PROBES:
        if probe.name in only:
            announce(probe.name)
            taking = {name: entry for name, entry in classes.items() if name in probe.contenders}
            yield report.from_probe(probe, *one_by_one(TAKE[probe.name], taking, rounds, divisor, place))


class Stop:
    """Raise KeyboardInterrupt on a signal, and remember it: one that arrives in a `__del__` ends nothing."""

    def __init__(self) -> None:
        self.asked = False
        # what ends a run that took too long leaves no database behind either
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self)

    def __call__(self, number: int, frame: object) -> None:
        self.asked = True
        raise KeyboardInterrupt


def main() -> int:
    """Run what was asked for; 1 when a contender failed or handled other data than the rest, 130 stopped."""
    options = arguments()
    console = Console(width=None if sys.stdout.isatty() else 150)
    place = Place(options.backend, options.server)
    only = chosen(options.only, NAMES, "scenario") if options.only else usual(options.backend)
    names = chosen(options.contenders or ",".join(CONTENDERS), list(CONTENDERS), "contender")
    names = ["raw", *(name for name in names if name != "raw")]
    rounds = options.rounds or (3 if options.quick else 9)
    divisor = 5 if options.quick else 1
    required = options.contenders is not None
    classes = loaded(names, place.backend, asynchronous=False, required=required)
    awaited = loaded(names, place.backend, asynchronous=True, required=required)
    names = [name for name in names if name in classes or name in awaited]
    facts = report.environment(names, place, rounds, divisor)
    lines: dict[str, report.Line] = {}
    if options.merge:
        try:
            earlier, versions = report.read_json(options.merge, facts)
        except ValueError as error:
            sys.exit(str(error))
        lines = {line.name: line for line in earlier}
        facts["versions"] = {**versions, **facts["versions"]}
        names = [name for name in CONTENDERS if name in facts["versions"]]

    def table() -> list[report.Line]:
        return [lines[name] for name in NAMES if name in lines]

    stop, status, failed = Stop(), 0, False
    with console.status("") as shown:
        try:
            for line in taken(only, classes, awaited, rounds, divisor, place, shown.update):
                if stop.asked:
                    raise KeyboardInterrupt
                failed = failed or bool(line.errors)
                lines[line.name] = line
                console.print(report.one_line(line), markup=False, highlight=False, soft_wrap=True)
                if options.json:
                    report.write(options.json, report.as_json(table(), facts))
                if options.markdown:
                    report.write(options.markdown, report.markdown(table(), names))
        except BaseException:
            if not stop.asked:
                raise
            status = 130
            console.print("stopped; what was measured until now:")
    report.show(table(), names, console)
    return status or int(failed)


if __name__ == "__main__":
    sys.exit(main())
