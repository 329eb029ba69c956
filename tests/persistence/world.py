"""A plain-Python model of what a session should do with authors, books, chapters, profiles and tags.

Records are dictionaries; links are names of other records. What the database does by its rules on delete is
done here by hand, and a savepoint is a deep copy.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Optional

Record = dict[str, Any]


class World:
    """What is committed, what every open savepoint started from, and what the session holds now."""

    def __init__(self) -> None:
        self.now: dict[str, Record] = {}
        self.committed: dict[str, Record] = {}
        self.savepoints: list[dict[str, Record]] = []

    def of(self, kind: str) -> list[str]:
        return [name for name, record in self.now.items() if record["kind"] == kind]

    def add(self, name: str, record: Record) -> None:
        self.now[name] = record

    def delete(self, name: str) -> None:
        record = self.now.pop(name)
        for other, found in list(self.now.items()):
            if other not in self.now:
                continue
            if record["kind"] == "author":
                if found["kind"] == "book":
                    for key in ("author", "editor"):
                        if found[key] == name:
                            found[key] = None
                elif found["kind"] == "profile" and found["author"] == name:
                    self.delete(other)
            elif record["kind"] == "book" and found["kind"] == "chapter" and found["book"] == name:
                self.delete(other)
            elif record["kind"] == "tag" and found["kind"] == "book":
                found["tags"].discard(name)
            elif record["kind"] == "node" and found["kind"] == "node" and found["parent"] == name:
                raise AssertionError("the machine deletes leaves only")

    def linked(self, kind: str, key: str, target: Optional[str]) -> set[str]:
        """Return the records of a kind whose link is, or holds, the target."""
        return {
            name
            for name in self.of(kind)
            if (target in self.now[name][key] if key == "tags" else self.now[name][key] == target)
        }

    # --- transactions

    def enter(self) -> None:
        self.savepoints.append(deepcopy(self.now))

    def leave(self) -> None:
        self.savepoints.pop()
        if not self.savepoints:
            self.commit()

    def abandon(self) -> None:
        before = self.savepoints.pop()
        if self.savepoints:
            self.now = before
        else:
            self.rollback()

    def commit(self) -> None:
        self.committed = deepcopy(self.now)

    def rollback(self) -> None:
        self.savepoints.clear()
        self.now = deepcopy(self.committed)
