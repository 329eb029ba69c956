from __future__ import annotations

from blaze import Field, Model, Session, create_all
from blaze.engine import Engine
from blaze.testing import count_statements


class Counted(Model):
    name: Field[str]


def test_statements_of_a_block_are_counted_and_transaction_control_is_not() -> None:
    with Engine("sqlite://") as engine:
        create_all(engine, [Counted])
        with Session(engine) as session:
            session.query(Counted).all()
            with count_statements(session) as count:
                session.add_all([Counted(name=str(number)) for number in range(20)])
                session.commit()
                session.query(Counted).all()
            assert count == 2
            assert int(count) == count.total == 2
