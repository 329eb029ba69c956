"""A JSON null in a list that is kept as JSON is None, whatever the items are."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from blaze import Engine, Field, Model, Session, field


class Listed(Model):
    id: Field[int] = field(primary_key=True)
    numbers: Field[list[int]] = field(default_factory=list)
    keys: Field[list[UUID]] = field(default_factory=list)
    prices: Field[list[Decimal]] = field(default_factory=list)
    days: Field[list[date]] = field(default_factory=list)
    rows: Field[list[list[UUID]]] = field(default_factory=list)

    class Meta:
        table = "types_listed"


@pytest.mark.requirement("R32")
def test_json_null_for_lists() -> None:
    with Engine("sqlite://") as engine, Session(engine) as session:
        session.create_all(Listed)
        session.add(Listed(keys=[UUID(int=1)]))
        session.commit()
        names = ["numbers", "keys", "prices", "days", "rows"]
        session.execute("UPDATE types_listed SET " + ", ".join(f"{name} = 'null'" for name in names))
        session.commit()
        found = session.query(Listed.numbers, Listed.keys, Listed.prices, Listed.days, Listed.rows).one()
        assert tuple(found) == (None,) * 5
