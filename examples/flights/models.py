"""The five tables of the data.

Read them from the bottom: a flight points at its airline, its plane, two airports and the hour's weather.
"""

import enum
from datetime import date, datetime, time
from typing import Optional

from blaze import (
    Check,
    Field,
    ForeignKey,
    Index,
    Model,
    OneToMany,
    Unique,
    field,
    foreign_key,
    key_column,
    one_to_many,
)


class EngineKind(enum.Enum):
    """How a plane is driven; the values are the words of the data."""

    FOUR_CYCLE = "4 Cycle"
    RECIPROCATING = "Reciprocating"
    TURBO_FAN = "Turbo-fan"
    TURBO_JET = "Turbo-jet"
    TURBO_PROP = "Turbo-prop"
    TURBO_SHAFT = "Turbo-shaft"


class Airline(Model):
    """An airline; its key is the two-letter code that everybody uses."""

    carrier: Field[str] = field(primary_key=True, init=True, max_length=2)
    name: Field[str] = field(max_length=100)
    flights: OneToMany["Flight"] = one_to_many()


class Airport(Model):
    """An airport; everything but code and name may be unknown."""

    faa: Field[str] = field(primary_key=True, init=True, max_length=3)
    name: Field[str] = field(max_length=100)
    latitude: Field[Optional[float]] = field(default=None)
    longitude: Field[Optional[float]] = field(default=None)
    altitude: Field[Optional[int]] = field(default=None, comment="feet")
    time_zone: Field[Optional[str]] = field(default=None, max_length=50, comment="IANA name")
    departures: OneToMany["Flight"] = one_to_many()
    arrivals: OneToMany["Flight"] = one_to_many()


class Plane(Model):
    """A plane, by the number painted on its tail."""

    tailnum: Field[str] = field(primary_key=True, init=True, max_length=6)
    manufacturer: Field[str] = field(max_length=50, index=True)
    model: Field[str] = field(max_length=50)
    kind: Field[EngineKind]
    engines: Field[int]
    seats: Field[int]
    built: Field[Optional[int]] = field(default=None, comment="year")
    flights: OneToMany["Flight"] = one_to_many()


class Weather(Model):
    """One hour of weather at one airport: the key is made of both."""

    origin: ForeignKey[Airport] = foreign_key(primary_key=True, init=False)
    origin_id: Field[str] = key_column(init=True)
    time_hour: Field[datetime] = field(primary_key=True, init=True, comment="start of the hour, UTC")
    temperature: Field[Optional[float]] = field(default=None, comment="degrees Fahrenheit")
    humidity: Field[Optional[float]] = field(default=None, comment="per cent")
    wind_speed: Field[Optional[float]] = field(default=None, comment="miles per hour")
    rain: Field[float] = field(default=0.0, comment="inches")
    visibility: Field[float] = field(comment="miles")


class Flight(Model):
    """One flight from EWR, JFK or LGA.

    The airline, the number and the hour are unique together, but three columns make a clumsy key to point at:
    the database gives each flight an `id`, and the natural key becomes a constraint.

    Two relations may be empty. The data names planes that it does not describe, so `tailnum` keeps the text
    and `plane` is set only where the plane is known; and for some hours there is no weather. `weather` is a
    composite foreign key: its columns are `weather_origin_id` and `weather_time_hour`.
    """

    id: Field[int] = field(primary_key=True)
    number: Field[int]
    day: Field[date] = field(comment="local date of departure")
    time_hour: Field[datetime] = field(comment="the scheduled hour of departure, UTC")
    scheduled: Field[time] = field(comment="departure, local")
    departed: Field[Optional[time]] = field(
        default=None, comment="local; empty when the flight was cancelled"
    )
    departure_delay: Field[Optional[int]] = field(default=None, comment="minutes; negative is early")
    arrival_delay: Field[Optional[int]] = field(default=None, comment="minutes; negative is early")
    air_time: Field[Optional[int]] = field(default=None, comment="minutes")
    distance: Field[int] = field(comment="miles")
    tailnum: Field[Optional[str]] = field(default=None, max_length=6)

    airline: ForeignKey[Airline] = foreign_key(related_name="flights", init=False)
    airline_id: Field[str] = key_column(init=True)
    origin: ForeignKey[Airport] = foreign_key(related_name="departures", init=False)
    origin_id: Field[str] = key_column(init=True)
    destination: ForeignKey[Airport] = foreign_key(related_name="arrivals", init=False)
    destination_id: Field[str] = key_column(init=True)
    plane: ForeignKey[Optional[Plane]] = foreign_key(related_name="flights", init=False)
    plane_id: Field[Optional[str]] = key_column(init=True)
    weather: ForeignKey[Optional[Weather]] = foreign_key(related_name="flights", init=False)
    weather_origin_id: Field[Optional[str]] = key_column(init=True)
    weather_time_hour: Field[Optional[datetime]] = key_column(init=True)

    class Meta:
        indexes = [Index("arrival_delay")]
        constraints = [Unique("time_hour", "airline", "number"), Check("distance > 0")]


MODELS: list[type[Model]] = [Airline, Airport, Plane, Weather, Flight]
