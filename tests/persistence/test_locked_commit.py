"""A commit that a lock refused can be tried again: nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from blaze import DatabaseError, Engine, Field, Model, Session, create_all, field


class Note(Model):
    id: Field[int] = field(primary_key=True)
    text: Field[str]


def test_a_commit_refused_by_a_lock_keeps_everything_pending(tmp_path: Path) -> None:
    with Engine(f"sqlite:///{tmp_path}/notes.db?lock_timeout=0.05") as engine:
        create_all(engine, [Note])
        with Session(engine) as session, engine.connection() as other:
            other.begin()
            note = Note(text="kept")
            session.add(note)
            with pytest.raises(DatabaseError) as caught:
                session.commit()
            assert caught.value.retryable
            assert session.new == [note]
            other.rollback()
            session.commit()
            assert session.query(Note).one() is note
