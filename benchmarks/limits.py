"""What is to be reached: the target of each scenario, and the fastest peer ever measured, by backend.

Both are ratios to raw. The best known peers include those that do not run here (Pony, Piccolo, BlazeORM).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

Known = tuple[str, float]


@dataclass(frozen=True)
class Limit:
    """The target on SQLite, the one on servers where it differs, and the best known peers."""

    target: Optional[float] = None
    server: Optional[float] = None
    known: dict[str, Known] = field(default_factory=dict)

    def on(self, backend: str) -> Optional[float]:
        """Return the target on a backend."""
        return self.target if backend == "sqlite" or self.server is None else self.server


def known(sqlite: Known, postgresql: Known, mysql: Known) -> dict[str, Known]:
    return {"sqlite": sqlite, "postgresql": postgresql, "mysql": mysql}


NONE = Limit()

LIMITS = {
    "insert_one": Limit(2.0, 1.3, known(("Peewee", 7.1), ("Peewee", 3.2), ("Tortoise", 1.6))),
    "insert_uow": Limit(1.8, None, known(("Pony", 7.2), ("SQLAlchemy", 3.0), ("SQLAlchemy", 3.6))),
    "insert_bulk": Limit(1.15, None, known(("SQLAlchemy", 3.5), ("SQLAlchemy", 1.5), ("SQLAlchemy", 1.5))),
    "bulk_insert": Limit(1.6),
    "read_all": Limit(1.0, None, known(("SQLAlchemy", 3.0), ("Django", 2.6), ("Django", 1.15))),
    "read_filter": Limit(1.3, None, known(("Django", 4.7), ("SQLAlchemy", 2.8), ("Peewee", 2.2))),
    "get_pk": Limit(2.0, 1.25, known(("BlazeORM", 8.4), ("Tortoise", 1.9), ("Tortoise", 1.7))),
    "get_pk_identity": Limit(1.5, None, known(("BlazeORM", 11), ("Pony", 4.2), ("SQLAlchemy", 4.2))),
    "join_eager_fk": Limit(1.3, None, known(("SQLAlchemy", 5.1), ("Django", 5.3), ("SQLAlchemy", 2.3))),
    "prefetch_o2m": Limit(1.5, None, known(("Peewee", 6.4), ("Peewee", 5.0), ("Peewee", 2.5))),
    "prefetch_o2m_nested": Limit(1.5, None, known(("Peewee", 6.3), ("Peewee", 5.3), ("Peewee", 2.5))),
    "prefetch_m2m": Limit(1.5, None, known(("BlazeORM", 4.8), ("Tortoise", 2.4), ("SQLAlchemy", 2.0))),
    "update_uow": Limit(2.0, None, known(("SQLAlchemy", 5.9), ("SQLAlchemy", 3.7), ("SQLAlchemy", 8.7))),
    "bulk_update": Limit(1.15, None, known(("SQLAlchemy", 5.2), ("SQLAlchemy", 3.5), ("Peewee", 2.8))),
    "delete_uow": Limit(2.0, None, known(("SQLAlchemy", 6.4), ("SQLAlchemy", 3.9), ("Tortoise", 4.6))),
    "concurrency": Limit(None, 1.2, {"postgresql": ("Tortoise", 1.7)}),
}


def limit(name: str) -> Limit:
    """Return the limit of a scenario; an asynchronous one has the target of its twin, and no known peer."""
    if name.startswith("async_") and name[6:] in LIMITS:
        twin = LIMITS[name[6:]]
        return Limit(twin.target, twin.server)
    return LIMITS.get(name, NONE)
