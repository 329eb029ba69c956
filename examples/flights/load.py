"""Create the tables and fill them: 367,691 rows by `bulk_insert`, under a progress bar."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Optional

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from blaze import Engine, Model, Session, create_all
from examples.flights import data
from examples.flights.models import MODELS, Plane, Weather
from examples.flights.report import Stopwatch, console

CHUNK = 5_000


class NotEmptyError(Exception):
    """The database has been loaded before, wholly or in part."""


def load(engine: Engine, stopwatch: Stopwatch, rows: Optional[int] = None) -> None:
    """Create the tables and load everything; `rows` limits the flights.

    Raises `NotEmptyError` when the database has been loaded before.
    """
    with stopwatch("create the tables"):
        create_all(engine, MODELS)
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Session(engine) as session, Progress(*columns, console=console) as progress:
        if any(session.query(model).exists() for model in MODELS):
            raise NotEmptyError("this database holds flights already; give the DSN of an empty one")

        def fill(name: str, objects: Iterable[Model], total: int) -> None:
            """Insert a stream of objects, one chunk and one commit after the other."""
            task = progress.add_task(name, total=total)
            stream = data.chunks(objects, CHUNK)
            while True:
                with stopwatch("load: read the CSV, make objects"):
                    chunk = next(stream, None)
                if chunk is None:
                    return
                with stopwatch("load: bulk_insert and commit"):
                    session.bulk_insert(chunk)
                    session.commit()
                progress.advance(task, len(chunk))

        # Parents come first: foreign keys are checked by the database, row by row.
        fill("airlines", data.airlines(), data.ROWS["airlines"])
        fill("airports", data.airports(), data.ROWS["airports"])
        fill("planes", data.planes(), data.ROWS["planes"])
        fill("weather", data.weather(), data.ROWS["weather"])

        # A query of columns gives rows, which are tuples: just what a set of known keys needs.
        with stopwatch("load: read the known keys"):
            tailnums = set(session.query(Plane.tailnum).scalars())
            hours = {(origin, hour) for origin, hour in session.query(Weather.origin_id, Weather.time_hour)}

        total = data.ROWS["flights"] if rows is None else min(rows, data.ROWS["flights"])
        fill("flights", islice(data.flights(tailnums, hours), total), total)
