"""Changes of tables that have indexes: DuckDB refuses most, so the indexes go and come again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from blaze.dialects.changes import DroppedColumn, RenamedColumn, RenamedTable, alter_table
from blaze.plan import Execute, Plan
from blaze.sql.tokens import tokenize

if TYPE_CHECKING:
    from blaze.dialects.changes import TableChange
    from blaze_duckdb.dialect import DuckDBDialect

__all__ = ["Reindexer"]


class Reindexer:
    """Change tables of one connection for one migration."""

    def __init__(self, dialect: DuckDBDialect) -> None:
        self.dialect = dialect

    def start(self) -> Plan[None]:
        """Do nothing: nothing of the connection has to change."""
        yield from ()

    def change(self, table: str, change: TableChange) -> Plan[None]:
        """Drop the indexes of a table, change it, and create them again with the new names."""
        quote = self.dialect.quote
        outcome = yield Execute(
            "SELECT index_name, sql FROM duckdb_indexes()"
            " WHERE schema_name = current_schema() AND table_name = ? AND sql IS NOT NULL",
            (table,),
        )
        for name, _ in outcome.rows:
            yield Execute(f"DROP INDEX {quote(name)}", (), None, True)
        for sql in alter_table(self.dialect, quote(table), change):
            yield Execute(sql, (), None, True)
        for _, sql in outcome.rows:
            kept = self._renamed(sql, change)
            if kept is not None:
                yield Execute(kept, (), None, True)

    def check(self) -> Plan[None]:
        """Do nothing: there are no foreign keys."""
        yield from ()

    def finish(self) -> Plan[None]:
        """Do nothing: the connection is as it was."""
        yield from ()

    def _renamed(self, sql: str, change: TableChange) -> Optional[str]:
        """Give CREATE INDEX in the new names, None where a column of the index goes."""
        tokens = tokenize(sql, self.dialect.features.lexis)
        on = next(place for place, token in enumerate(tokens) if token.word == "ON")
        opening = next(place for place, token in enumerate(tokens) if place > on and token.text == "(")
        found = sql
        for place in range(len(tokens) - 1, on, -1):
            token, new = tokens[place], None
            name = token.text[1:-1].replace('""', '"') if token.text[0] == '"' else token.text
            if place > opening:
                if isinstance(change, DroppedColumn) and name.lower() == change.name.lower():
                    return None
                if isinstance(change, RenamedColumn) and name.lower() == change.name.lower():
                    new = change.new
            elif place == opening - 1 and isinstance(change, RenamedTable):
                new = change.new
            if new is not None:
                end = token.start + len(token.text)
                found = f"{found[: token.start]}{self.dialect.quote(new)}{found[end:]}"
        return found
