"""Import time: a fresh interpreter that imports the library and declares ten related models."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.databases import Place

HEADERS = {
    "raw": "",
    "blaze": (
        "from datetime import datetime\nfrom decimal import Decimal\nfrom typing import Optional\n"
        "from blaze import Field, ForeignKey, Model, field, foreign_key\n"
    ),
    "sqlalchemy": (
        "from datetime import datetime\nfrom typing import Optional\n"
        "from sqlalchemy import ForeignKey, Numeric, String\n"
        "from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column, relationship\n"
        "class Base(DeclarativeBase): pass\n"
    ),
    "peewee": "from peewee import *\n",
}

# {n} is the model's number, {parent} the one before (the first one refers to itself by an optional key)
MODELS = {
    "raw": "",
    "blaze": """
class Model{n}(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=80, index=True)
    amount: Field[int] = field(default=0)
    price: Field[Decimal] = field(precision=10, scale=2)
    created: Field[datetime] = field()
    note: Field[Optional[str]] = field(default=None)
    parent: ForeignKey[Optional["Model{parent}"]] = foreign_key(related_name="children{n}")
""",
    "sqlalchemy": """
class Model{n}(Base):
    __tablename__ = "model{n}"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), index=True)
    amount: Mapped[int] = mapped_column(default=0)
    price = mapped_column(Numeric(10, 2))
    created: Mapped[datetime]
    note: Mapped[Optional[str]]
    parent_id: Mapped[Optional[int]] = mapped_column(ForeignKey("model{parent}.id"))
    parent = relationship("Model{parent}", backref="children{n}", remote_side="Model{parent}.id")
""",
    "peewee": """
class Model{n}(Model):
    name = CharField(max_length=80, index=True)
    amount = IntegerField(default=0)
    price = DecimalField(max_digits=10, decimal_places=2)
    created = DateTimeField()
    note = CharField(null=True)
    parent = ForeignKeyField({peewee_parent}, null=True, backref="children{n}")
""",
}

FOOTERS = {"raw": "", "blaze": "Model9(name='a')\n", "sqlalchemy": "configure_mappers()\n", "peewee": ""}


def source(name: str) -> str:
    """Return the text of a module with ten models."""
    models = [
        MODELS[name].format(n=n, parent=max(n - 1, 0), peewee_parent=f"Model{n - 1}" if n else "'self'")
        for n in range(10)
    ]
    return HEADERS[name] + "".join(models) + FOOTERS[name]


def start(folder: Path, name: str) -> float:
    """Return the milliseconds from starting the interpreter to its end.

    Bytecode of the models and of all that they import is kept below `folder`, whatever the caller's settings
    are, so that only a contender's first start compiles.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        "PYTHONPYCACHEPREFIX": str(folder / f"bytecode_{name}"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = perf_counter()
    subprocess.run([sys.executable, "-c", f"import models_{name}"], check=True, env=environment)
    return (perf_counter() - started) * 1e3


def import_time(classes: dict[str, Any], rounds: int, divisor: int, place: Place) -> dict[str, float]:
    """Milliseconds of a whole process; `raw` is bare Python."""
    with tempfile.TemporaryDirectory(prefix="blaze-bench-") as name:
        folder = Path(name)
        times: dict[str, list[float]] = {contender: [] for contender in classes}
        for contender in classes:
            (folder / f"models_{contender}.py").write_text(source(contender))
            start(folder, contender)  # writes the bytecode
        for _ in range(rounds):
            for contender in classes:
                times[contender].append(start(folder, contender))
        return {contender: statistics.median(values) for contender, values in times.items()}
