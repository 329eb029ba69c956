"""What a transaction has written, in keys of the cache."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from blaze.core.registry import registry
from blaze.persistence.cache_keys import key_text, root_table, table_keys, table_text
from blaze.persistence.raw_texts import first_words
from blaze.persistence.stored import key_before

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.dialects.features import Lexis
    from blaze.persistence.flush import Flush

# More rows than this of one table, and all of its rows are dropped instead: one key for thousands.
MOST_ROWS = 1_000

_WORD = re.compile(r"\w+")
# What an UPDATE assigns to: `SET name =`, `, table."name" =`; of lists and strange quotes nothing is known.
_ASSIGNED = re.compile(r"""(?:\bset\b|,)\s*(?:["`\[]?\w+["`\]]?\s*\.\s*)*["`\[]?(\w+)["`\]]?\s*=""")
_UNKNOWN = re.compile(r"\bset\s*\(|,\s*\([^()]*\)\s*=|\\|\$\$")
_QUOTED = re.compile(r"""("[^"]*"|`[^`]*`)|'[^']*'|/\*.*?\*/|--[^\n]*""", re.DOTALL)
_UPDATING = frozenset({"update", "replace"})
_FOLLOWED = ("CASCADE", "SET NULL", "SET DEFAULT")


class CacheJournal:
    """The rows and tables that a transaction has written; the cache hears of them around the commit.

    It only grows until the transaction ends: what a savepoint takes back is dropped from the cache for
    nothing, which is safe.
    """

    __slots__ = ("_rows", "_tables", "database")

    def __init__(self, database: str) -> None:
        self.database = database
        self._rows: dict[str, set[str]] = {}  # by the key of the table's generation
        self._tables: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._tables or self._rows)

    def clear(self) -> None:
        """Begin anew."""
        self._rows.clear()
        self._tables.clear()

    def keys(self) -> list[str]:
        """Return the keys to drop."""
        found = sorted(self._tables)
        for token, rows in self._rows.items():
            if token not in self._tables:
                found += rows
        return found

    # --- what was written -------------------------------------------------------------------------

    def note_rows(self, mapper: Mapper, keys: Iterable[Any]) -> None:
        """Note rows by their primary keys."""
        token, prefix = table_keys(self.database, root_table(mapper))
        if token in self._tables:
            return
        rows = self._rows.setdefault(token, set())
        for key in keys:
            text = key_text(key)
            if text is None or len(rows) >= MOST_ROWS:
                self.note_model(mapper)
                return
            rows.add(prefix + text)
        if not rows:
            del self._rows[token]

    def note_model(self, mapper: Mapper) -> None:
        """Note all rows of a model."""
        token, _ = table_keys(self.database, root_table(mapper))
        self._tables.add(token)
        self._rows.pop(token, None)

    def note_dependents(self, mappers: Iterable[Mapper], moved: bool = False) -> None:
        """Note what the database does to other tables when rows are deleted, or, when `moved`, their keys
        change.
        """
        graph = referring()
        queue = [table for mapper in mappers for table in tables_of(mapper)]
        seen = set(queue)
        while queue:
            for child, rule in graph.get(queue.pop(), ()):
                if not moved and rule not in _FOLLOWED:
                    continue
                self.note_model(child)
                if moved or rule == "CASCADE":
                    new = [table for table in tables_of(child) if table not in seen]
                    seen.update(new)
                    queue += new

    def note_statement(self, sql: str, lexis: Lexis) -> None:
        """Note every table that the text of a writing statement names, and those that follow deleted rows and
        changed keys.

        A text that names none may call a procedure or write to a view: it counts for all tables.
        """
        word = first_words(sql, lexis)
        if word == ["SELECT"]:
            return  # it takes locks
        text = sql.lower()
        words = set(_WORD.findall(text))
        known = [model.__mapper__ for model in registry if model.__mapper__.configured]
        named = [m for m in known if any(is_named(t.name.lower(), words, text) for t in m.tables)]
        for mapper in named or known:
            self.note_model(mapper)
        moved = not _UPDATING.isdisjoint(words) and moves_keys(named, words, text)
        if moved or word != ["UPDATE"]:
            self.note_dependents(named, moved)

    def note_flush(self, flush: Flush, deleted: Iterable[Any]) -> None:
        """Note what a flush has sent; nothing is cached of rows that were not there, so inserts count not."""
        for updated in flush.updater.groups:
            mapper = updated.mapper
            positions = [mapper.columns.index(attribute) for attribute in mapper.pk]
            before = [tuple([old[p] for p in positions]) for old in updated.olds]
            self.note_rows(mapper, [key[0] if len(key) == 1 else key for key in before])
            if updated.moved:
                self.note_rows(mapper, map(mapper.key, updated.instances))
                self.note_dependents([mapper], moved=True)
        for instance, relation in flush.inserter.postponed:
            self.note_rows(relation.owner, [relation.owner.key(instance)])
        gone: dict[Mapper, list[Any]] = {}
        for instance in deleted:
            mapper = type(instance).__mapper__
            gone.setdefault(mapper, []).append(key_before(mapper, instance))
        for mapper, keys in gone.items():
            self.note_rows(mapper, keys)
        if gone:
            self.note_dependents(gone)
        for changed_list in flush.lists:
            link = changed_list.relation.link
            if link is not None and link.model is not None:
                self.note_model(link.model.__mapper__)  # type: ignore[attr-defined]


def is_named(name: str, words: set[str], text: str) -> bool:
    """Whether SQL text may mean a table; a name that is no plain word is looked for anywhere."""
    return name in words or (_WORD.fullmatch(name) is None and name in text)


def moves_keys(mappers: Iterable[Mapper], words: set[str], text: str) -> bool:
    """Whether SQL text may give rows another key, or replace rows by others."""
    text = _QUOTED.sub(lambda match: match[1] or " ", text)  # without strings and comments
    if "replace" in words or _UNKNOWN.search(text) is not None:
        return True
    assigned = set(_ASSIGNED.findall(text))
    keys = {column.name.lower() for m in mappers for table in m.tables for column in table.primary_key}
    return any(is_named(key, assigned, text) for key in keys)


def tables_of(mapper: Mapper) -> dict[str, None]:
    """Return the tables that rows of a model stand in, those of its whole hierarchy."""
    return dict.fromkeys(table_text(each.own_table) for each in mapper.base.family())


def referring() -> dict[str, list[tuple[Mapper, str]]]:
    """Return the models that refer to each table, with the rules of their keys on delete."""
    found: dict[str, list[tuple[Mapper, str]]] = {}
    for model in registry:
        mapper = model.__mapper__
        if mapper.configured:
            for key in mapper.foreign_keys:
                found.setdefault(table_text(key.target), []).append((mapper, key.on_delete))
    return found
