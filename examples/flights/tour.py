"""The tour: one function per chapter, each a few lines of Blaze and the table that they give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from blaze import AsyncSession, Engine, IntegrityError, Select, Session, func
from examples.flights.models import Airline, Airport, Flight, Plane
from examples.flights.report import Stopwatch, heading, say, table


@contextmanager
def chapter(title: str, session: Session, stopwatch: Stopwatch) -> Iterator[None]:
    """Print the title, run the chapter, say how many statements it took."""
    heading(title)
    before = session.query_stats().total
    with stopwatch(f"tour: {title.lower()}"):
        yield
    say(f"-> {session.query_stats().total - before} statements")


def typed_queries(session: Session) -> None:
    """Ask for objects; a relation in a condition joins by itself, and `include` brings it along."""
    late = (
        session.query(Flight)
        .where(Flight.arrival_delay > 120, Flight.airline.name.contains("Airlines"))
        .include(Flight.airline, Flight.destination)
        .order_by(Flight.arrival_delay.desc(), Flight.id)
        .limit(5)
        .all()
    )
    table(
        ["day", "flight", "to", "minutes late"],
        [(f.day, f"{f.airline.name} {f.number}", f.destination.name, f.arrival_delay) for f in late],
    )


def aggregates(session: Session) -> None:
    """Ask for columns; the result is typed rows."""
    flights = func.count(Flight.id)
    rows = (
        session.query(Airline.name, flights.label("flights"), func.avg(Flight.arrival_delay).label("delay"))
        .join(Airline.flights)
        .group_by(Airline.name)
        .having(flights > 10)
        .order_by(flights.desc())
        .limit(6)
        .all()
    )
    table(["airline", "flights", "mean delay, minutes"], [(row.name, row.flights, row.delay) for row in rows])

    total = session.query(Flight).count()
    cancelled = session.query(Flight).where(Flight.departed.is_(None)).count()
    described = session.query(Flight).where(Flight.plane.tailnum.is_not(None)).count()
    say(f"{total:,} flights, {cancelled:,} cancelled, {described:,} by a plane that the data describes")


def weather(session: Session) -> None:
    """Follow a composite foreign key: it reads like any other relation."""
    delay = func.avg(Flight.departure_delay)
    fog = session.query(delay).where(Flight.weather.visibility < 3).scalar()
    clear = session.query(delay).where(Flight.weather.visibility >= 10).scalar()
    table(["visibility", "mean delay, minutes"], [("under 3 miles", fog), ("10 miles", clear)])


def nested_loading(session: Session) -> None:
    """Load planes, all their flights and where those went: one statement each, whatever the numbers.

    The condition reaches over a to-many relation: it asks whether there is such a flight, so no plane
    comes twice.
    """
    planes = (
        session.query(Plane)
        .where(Plane.manufacturer == "AIRBUS", Plane.flights.distance > 2_000)
        .prefetch_related("flights__destination")
        .order_by(Plane.tailnum)
        .limit(5)
        .all()
    )
    rows = []
    for plane in planes:
        places = sorted({flight.destination.name for flight in plane.flights})
        rows.append((plane.tailnum, plane.model, plane.kind.value, len(plane.flights), ", ".join(places)))
    table(["plane", "model", "driven by", "flights", "to"], rows)


def lazy_loop(session: Session) -> None:
    """Write the naive loop: touching a relation of one flight loads it for all of them."""
    flights = session.query(Flight).order_by(Flight.id).limit(500).all()
    highest: dict[str, int] = {}
    for flight in flights:
        maker = "unknown" if flight.plane is None else flight.plane.manufacturer
        highest[maker] = max(highest.get(maker, 0), flight.destination.altitude or 0)
    table(
        ["maker of the plane", "highest airport, feet"],
        sorted(highest.items(), key=lambda item: -item[1])[:5],
    )
    say(
        f"{len(flights)} flights, two relations of each read in a loop; "
        f"one statement for each object would make {1 + 2 * len(flights)}"
    )


def unit_of_work(session: Session) -> None:
    """Change objects, fail half-way, keep the good half: an inner transaction is a savepoint."""
    newark = session.get_one(Airport, "EWR")
    with session.transaction():
        session.add(Airline(carrier="ZZ", name="Blaze Air"))
        newark.altitude = 19
        try:
            with session.transaction():
                newark.altitude = -1
                first = session.query(Flight).order_by(Flight.id).first()
                assert first is not None
                first.distance = 0  # against the constraint distance > 0
                session.flush()
        except IntegrityError as error:
            say(f"refused and rolled back to the savepoint: {type(error).__name__}")
        say(f"the altitude of Newark is {newark.altitude} again, in the object as in the database")
    kept = session.get(Airline, "ZZ")
    assert kept is not None
    say(f"the outer transaction committed {kept.name}; now it is deleted")
    session.delete(kept)
    session.commit()


def shorter(statement: str) -> str:
    """Leave out a long list of columns."""
    return re.sub(r"^SELECT .{60,}? FROM ", "SELECT ... FROM ", " ".join(statement.split()))


def statistics(session: Session) -> None:
    """Show what the session remembers of its statements; numbers and texts in them are never recorded."""
    heading("Statistics")
    stats = session.query_stats()
    slowest = sorted(stats, key=lambda entry: entry.total_ms, reverse=True)[:8]
    table(
        ["count", "total ms", "rows", "statement"],
        [(entry.count, float(entry.total_ms), entry.rows, shorter(entry.sql)) for entry in slowest],
    )
    say(f"{stats.total} statements in all")


def tour(engine: Engine, stopwatch: Stopwatch) -> None:
    """Walk through the chapters in one session."""
    with Session(engine) as session:
        with chapter("Typed queries", session, stopwatch):
            typed_queries(session)
        with chapter("Aggregates", session, stopwatch):
            aggregates(session)
        with chapter("Weather, by a composite key", session, stopwatch):
            weather(session)
        with chapter("Nested eager loading", session, stopwatch):
            nested_loading(session)
        with chapter("A lazy loop", session, stopwatch):
            lazy_loop(session)
        with chapter("A unit of work with a savepoint", session, stopwatch):
            unit_of_work(session)
        statistics(session)


async def async_tour(engine: Engine, stopwatch: Stopwatch) -> None:
    """Do it asynchronously: the same models and queries, awaited, and several at once."""
    heading("Async, in parallel")
    codes = ["EWR", "JFK", "LGA"]
    async with AsyncSession(engine) as session:
        # Unbound queries are values; each runs on a pool connection of its own.
        with stopwatch("tour: async, three queries at once"):
            counts = await session.parallel_exec(
                [Select(Flight).where(Flight.origin_id == c).count() for c in codes]
            )
        table(["from", "flights"], list(zip(codes, counts)))

        # A stream reads the rows in pieces: memory stays flat, however many there are.
        with stopwatch("tour: async, a stream"):
            newark = await session.get_one(Airport, "EWR")
            streamed = longest = 0
            async for flight in (
                session.query(Flight).where(Flight.origin_id == newark.faa).limit(20_000).stream()
            ):
                streamed += 1
                longest = max(longest, flight.distance)
        say(f"{streamed:,} flights streamed; the longest goes {longest:,} miles from {newark.name}")
    await engine.adispose()
