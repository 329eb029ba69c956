"""Fields may have any name: a relation path keeps its own things out of the way."""

from __future__ import annotations

from blaze import Field, ForeignKey, Model, Session, create_all, field, foreign_key
from blaze.engine import Engine


class Spring(Model):
    id: Field[int] = field(primary_key=True)
    source: Field[str]
    target: Field[str]
    root: Field[str]
    names: Field[str]
    steps: Field[str]
    mapper: Field[str]
    relation: Field[str]
    column: Field[str]
    session: Field[str]
    key: Field[str]


class River(Model):
    id: Field[int] = field(primary_key=True)
    spring: ForeignKey[Spring] = foreign_key(related_name="rivers")


NAMES = ("source", "target", "root", "names", "steps", "mapper", "relation", "column", "session", "key")


def test_every_field_name_is_reached_through_a_relation() -> None:
    with Engine("sqlite://") as engine:
        create_all(engine, [Spring, River])
        with Session(engine, auto_commit=True) as session:
            session.add(River(spring=Spring(**{name: f"its {name}" for name in NAMES})))
        with Session(engine) as session:
            for name in NAMES:
                column = getattr(River.spring, name)
                assert session.query(River).where(column == f"its {name}").count() == 1
                assert session.query(column).join(River.spring).scalars() == [f"its {name}"]
                assert session.query(River).filter(**{f"spring__{name}": f"its {name}"}).count() == 1
            river = session.query(River).include(River.spring).one()
            assert [getattr(river.spring, name) for name in NAMES] == [f"its {name}" for name in NAMES]
