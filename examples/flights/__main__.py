"""Run the demo: python -m examples.flights [--dsn DSN] [--rows N]"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Optional

import click

from blaze import ConfigurationError, DatabaseError, Engine, Session
from examples.flights.load import NotEmptyError, load
from examples.flights.report import Stopwatch, console, heading, peak_memory, say, table
from examples.flights.tour import async_tour, tour


def show_costs(stopwatch: Stopwatch, total: float) -> None:
    """Print where the time went, and the peak memory."""
    heading("Where the time went")
    rest = total - sum(stopwatch.seconds.values())
    costs = {**stopwatch.seconds, "everything else (imports, printing)": rest}
    table(["step", "seconds", "%"], [(name, f"{s:.2f}", round(100 * s / total)) for name, s in costs.items()])
    memory = peak_memory()
    say(f"\nTotal {total:.1f} s, peak memory {'unknown' if memory is None else f'{memory:.0f} MB'}")


def open_engine(dsn: str) -> Engine:
    """Make an engine that has connected once; what is wrong with `dsn` ends the program with one line."""
    try:
        engine = Engine(dsn)
        with Session(engine) as session:
            session.execute("SELECT 1")
    except (ConfigurationError, DatabaseError) as error:
        raise click.ClickException(str(error)) from error
    return engine


def run(dsn: str, rows: Optional[int]) -> None:
    """Load the data into the database at `dsn`, then take the tour."""
    start = time.perf_counter()
    stopwatch = Stopwatch()
    with open_engine(dsn) as engine:
        heading(f"Loading into {engine.dialect.name}")
        load(engine, stopwatch, rows)
        tour(engine, stopwatch)
        asyncio.run(async_tour(engine, stopwatch))
    show_costs(stopwatch, time.perf_counter() - start)


@click.command()
@click.option("--dsn", help="An empty database; by default an SQLite file that is deleted afterwards.")
@click.option("--rows", type=click.IntRange(min=1), help="Load only the first N flights.")
def main(dsn: Optional[str], rows: Optional[int]) -> None:
    """Load the flights that left New York City in 2013, and show what Blaze does with them."""
    try:
        if dsn is not None:
            run(dsn, rows)
            return
        with tempfile.TemporaryDirectory(prefix="blaze-flights-") as folder:
            run(f"sqlite:///{Path(folder) / 'flights.db'}", rows)
    except (FileNotFoundError, NotEmptyError) as error:
        console.print()
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
