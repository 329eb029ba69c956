"""Print the figures, judge them, and write them as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Optional

from rich.console import Console
from rich.table import Table

from benchmarks.databases import Place
from benchmarks.measure import Result
from benchmarks.scenarios import Probe

DISTRIBUTIONS = {
    "blaze": "blaze-core",
    "sqlalchemy": "SQLAlchemy",
    "peewee": "peewee",
    "django": "Django",
    "tortoise": "tortoise-orm",
}
TITLES = {"sqlalchemy": "SQLAlchemy", "peewee": "Peewee", "django": "Django", "tortoise": "Tortoise"}
PEERS = ("sqlalchemy", "peewee", "django", "tortoise")
ROUNDS = ("count", "digests", "rounds_us")


@dataclass
class Line:
    """One scenario as reported: ratios to raw, or absolute figures."""

    name: str
    raw: Optional[float]
    figures: dict[str, float]
    target: Optional[float]
    best_known: Optional[tuple[str, float]]
    unit: str
    relative: bool
    errors: dict[str, str]
    rounds: dict[str, Any] = field(default_factory=dict)  # what else the file of figures keeps

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Line:
        """Make the line that `entry` described."""
        known = entry["best_known"]
        return cls(
            entry["name"],
            entry["raw"],
            entry["ratios" if "ratios" in entry else "figures"],
            entry["target"],
            (known[0], known[1]) if known else None,
            entry["unit"],
            "ratios" in entry,
            entry["errors"],
            {key: entry[key] for key in ROUNDS if key in entry},
        )

    def entry(self) -> dict[str, Any]:
        """Describe the line as the file of figures has it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "raw": self.raw,
            "ratios" if self.relative else "figures": self.figures,
            "target": self.target,
            "best_known": self.best_known,
            "verdict": self.verdict(),
            "errors": self.errors,
            **self.rounds,
        }

    def complaints(self) -> list[str]:
        """Return what is wrong with Blaze here: over target, slower than the best peer, or not measured."""
        if "blaze" in self.errors:
            return ["failed"]
        blaze = self.figures.get("blaze")
        if blaze is None:
            return []
        found = []
        if self.target is not None and blaze > self.target:
            found.append(f"over target ({blaze:.3g} > {self.target:g})")
        peers = [(self.figures[peer], peer) for peer in PEERS if peer in self.figures]
        if self.best_known:
            peers.append((self.best_known[1], f"{self.best_known[0]}, as known"))
        if peers and blaze >= min(peers)[0]:
            figure, peer = min(peers)
            found.append(f"not faster than {peer} ({blaze:.3g} against {figure:.3g})")
        return found

    def verdict(self) -> str:
        if "blaze" not in self.figures and "blaze" not in self.errors:
            return "-"
        return "; ".join(self.complaints()) or "ok"


def from_result(result: Result, backend: str) -> Line:
    scenario = result.scenario
    names = [name for name in result.rounds if name != "raw"]
    return Line(
        scenario.name,
        result.median("raw"),
        {name: result.ratio(name) for name in names},
        scenario.limit.on(backend),
        scenario.limit.known.get(backend),
        f"µs/{scenario.item}",
        True,
        result.errors,
        {
            "count": result.count,
            "digests": result.digests,
            "rounds_us": {
                name: [seconds * 1e6 for seconds in rounds.values()] for name, rounds in result.rounds.items()
            },
        },
    )


def from_probe(probe: Probe, figures: dict[str, float], errors: dict[str, str]) -> Line:
    others = {name: figure for name, figure in figures.items() if name != "raw"}
    return Line(
        probe.name, figures.get("raw"), others, probe.target, probe.best_known, probe.unit, False, errors
    )


def show(lines: list[Line], contenders: list[str], console: Console) -> None:
    """Print the table and the list of what Blaze has to improve."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("scenario", no_wrap=True)
    table.add_column("raw", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    others = [name for name in contenders if name != "raw"]
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("verdict")
    for line in lines:
        table.add_row(
            line.name,
            "-" if line.raw is None else f"{line.raw:.3g}",
            line.unit,
            *(cell(line, name) for name in others),
            "-" if line.target is None else f"{line.target:g}",
            line.verdict(),
        )
    console.print(table)
    for line in lines:
        for name, error in line.errors.items():
            console.print(f"{line.name}, {name}: {error}", style="red", markup=False)
    if "blaze" in contenders:
        complaints = [f"  {line.name}: {'; '.join(line.complaints())}" for line in lines if line.complaints()]
        console.print("\nBlaze over target or not faster than the best peer:")
        console.print("\n".join(complaints) or "  none", markup=False)


def cell(line: Line, name: str) -> str:
    if name in line.errors:
        return "failed"
    if name not in line.figures:
        return "-"
    figure = line.figures[name]
    return f"{figure:.2f}x" if line.relative else f"{figure:.3g}"


def markdown(lines: list[Line], contenders: list[str]) -> str:
    """Return the table in Markdown: Blaze in bold, the same columns as on the screen but the verdict."""
    others = [name for name in contenders if name != "raw"]
    titles = [TITLES.get(name, name) for name in others]
    rows = [["scenario", "raw", *titles, "target"], ["---"] * (len(others) + 3)]
    for line in lines:
        figures = [cell(line, name).rstrip("x") for name in others]
        figures = [f"**{figure}**" if name == "blaze" else figure for name, figure in zip(others, figures)]
        raw = "-" if line.raw is None else f"{line.raw:.3g} {line.unit}"
        rows.append([f"`{line.name}`", raw, *figures, "-" if line.target is None else f"{line.target:g}"])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def environment(contenders: list[str], place: Place, rounds: int, divisor: int) -> dict[str, Any]:
    """Describe what the figures depend on."""
    versions = {}
    for name in contenders:
        try:
            versions[name] = (
                version(DISTRIBUTIONS[name]) if name in DISTRIBUTIONS else platform.python_version()
            )
        except PackageNotFoundError:
            versions[name] = "from source"
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "backend": place.backend,
        "backend_version": place.version(),
        "versions": versions,
        "rounds": rounds,
        "size_divided_by": divisor,
    }


def one_line(line: Line) -> str:
    """Say in one line what a scenario came to."""
    raw = "" if line.raw is None else f"raw {line.raw:.3g}  "
    others = [name for name in (*line.figures, *line.errors) if name != "raw"]
    return f"{line.name} ({line.unit}): {raw}{'  '.join(f'{name} {cell(line, name)}' for name in others)}"


def write(path: Path, text: str) -> None:
    """Replace a file as a whole: whoever reads it, or stops this run, finds the old text or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def as_json(lines: list[Line], facts: dict[str, Any]) -> str:
    """Return every figure, the rounds included, for comparison between runs and for `--merge`."""
    return json.dumps({**facts, "scenarios": [line.entry() for line in lines]}, indent=1) + "\n"


def read_json(path: Path, facts: dict[str, Any]) -> tuple[list[Line], dict[str, str]]:
    """Return the lines of an earlier run and whose they are; ValueError where it measured other things."""
    earlier = json.loads(path.read_text(encoding="utf-8"))
    for name in ("backend", "python", "size_divided_by"):
        if earlier[name] != facts[name]:
            raise ValueError(f"{path} has figures of {name} {earlier[name]}, this run is of {facts[name]}")
    return [Line.of(entry) for entry in earlier["scenarios"]], earlier["versions"]
