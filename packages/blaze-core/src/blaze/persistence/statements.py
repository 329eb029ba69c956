"""Plans of statements: raw SQL, `Insert`, `Update`, `Delete`, and whatever `exec` takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.loaders import Shape, make_row_loader
from blaze.core.takers import RowChecker
from blaze.dialects.batches import cut
from blaze.errors import DataError, QueryError, ValidationError
from blaze.persistence import following
from blaze.persistence.batches import row_parts, write_rows
from blaze.persistence.following import all_written, follow
from blaze.persistence.querying import MODES, fetch
from blaze.persistence.raw_texts import read
from blaze.persistence.results import QueryResult, Result
from blaze.persistence.writing import changing, writing
from blaze.plan import Execute, ExecuteMany, Plan
from blaze.query.build import reaches_elsewhere
from blaze.query.dml import Delete, Insert, Update, is_calculated
from blaze.query.query import Query
from blaze.query.row import row_class
from blaze.query.terminal import Plan as Terminal
from blaze.sql.compiled import list_size
from blaze.sql.placeholders import convert
from blaze.sql.raw import Raw
from blaze.sql.tokens import longer_name

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.persistence.base import SessionBase

# The most rows of one INSERT.
ROWS = 500
# The same where values are expressions, each of which may have several binds.
CALCULATED_ROWS = 100


def run_statement(session: SessionBase, statement: Any, params: Any = None) -> Plan[Any]:
    """Run whatever `exec` takes and return a `QueryResult`."""
    if isinstance(statement, Query):
        return QueryResult((yield from fetch(session, statement)))
    if isinstance(statement, Terminal):
        found = yield from MODES[statement.mode](session, statement.query, *statement.arguments)
        return QueryResult(found if isinstance(found, list) else [found])
    if isinstance(statement, (str, Raw)):
        return (yield from raw(session, statement, params))
    if isinstance(statement, (Insert, Update, Delete)):
        before = session.known_before()
        run = insert(session, statement) if isinstance(statement, Insert) else change(session, statement)
        result = yield from run
        if before is not None:
            yield from session.loaded_since(before)
        return result
    raise QueryError(f"cannot execute {statement!r}: give a Select, Insert, Update, Delete, or SQL text")


def raw(session: SessionBase, statement: Any, params: Any = None) -> Plan[Result]:
    """Run raw SQL: text with `?`, `%s` or `:name` placeholders, or a `sql("... {x}")` template."""
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    if isinstance(statement, Raw):
        if params is not None:
            raise QueryError("a sql() template carries its values; give no parameters beside it")
        text, values = session.compilation.statement(statement).render(statement.binds)
        values = statement.named(values, partial(list_size, session.dialect))
    elif isinstance(statement, str):
        text, values = convert(statement, params, session.dialect)
    else:
        raise QueryError(f"execute() takes SQL text or sql(...), not {statement!r}")
    features = session.dialect.features
    if features.cuts_names:
        cut = longer_name(text, session.dialect.max_identifier_bytes, features.lexis)
        if cut:
            raise QueryError(
                f"{session.dialect.name} would cut the name {cut} to "
                f"{session.dialect.max_identifier_bytes} bytes; give a shorter one"
            )
    known = read(text, features.lexis, features.lasting)
    if known.lasts:
        session.altered = True
    outcome = yield from session.send(Execute(text, values, None, known.writes))
    if not outcome.columns:
        return Result([], max(outcome.rowcount, 0))
    row = row_class(tuple(outcome.columns))
    make = tuple.__new__
    rows = [make(row, values) for values in outcome.rows]
    return Result(rows, outcome.rowcount if outcome.rowcount >= 0 else len(rows))


def returned(session: SessionBase, statement: Any) -> tuple[list[Any], Any]:
    """Return the RETURNING columns of a statement and the loader of its rows (None without any)."""
    if not statement.outputs:
        return [], None
    session.dialect.require("returning", "RETURNING")
    columns, parts, labels = statement.output_columns()
    dialect = session.dialect
    if len(parts) == 1 and isinstance(parts[0], Shape):
        return columns, session.compilation.codecs[statement.mapper].load
    kinds = [p if isinstance(p, Shape) else None if p is None else dialect.decoder(p) for p in parts]
    return columns, make_row_loader(kinds, dialect, row_class(tuple(labels)))


def insert(session: SessionBase, statement: Insert) -> Plan[QueryResult[Any]]:
    """Insert rows in as few statements as the backend allows."""
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    changed = statement.conflict_changes()
    if changed:
        with changing(session, statement.mapper, changed):
            return (yield from _insert(session, statement, changed))
    with writing(session, statement.mapper):  # no row that was there changes
        return (yield from _insert(session, statement, changed))


def _insert(
    session: SessionBase, statement: Insert, changed: Optional[dict[Any, Any]]
) -> Plan[QueryResult[Any]]:
    attributes = statement.attributes()
    columns, load = returned(session, statement)
    take = session.compilation.codecs[statement.mapper].row_taker(attributes)
    filled = statement.filled(attributes)
    try:
        rows = take(filled)
    except (DataError, ValidationError):
        if not statement.has_expressions():
            raise
        return (yield from _insert_calculated(session, statement, attributes, filled))
    check = RowChecker(statement.mapper, attributes)
    if load is None and len(rows) > 1 and statement.conflict is None and attributes:
        statement.mapper.require_one_table("Insert()", "add_all() or bulk_insert()")
        plan = write_rows(
            session, session.compilation.codecs[statement.mapper].insert_keyed(attributes), rows
        )
        count = yield from _checked(plan, filled, check)
        return QueryResult([], count if count >= 0 else len(rows))
    apart = conflicts_apart(session, statement, attributes, rows)
    if load is None and len(rows) > 1 and not apart:
        text, tail = insert_text(session, statement.builder(attributes, 1), len(attributes))
        if tail:
            rows = [(*row, *tail) for row in rows]
        count = yield from _send(session, ExecuteMany(text, rows), filled, check)
        if changed:
            yield from follow(session, statement.mapper, all_written(statement.mapper, changed))
        return QueryResult([], _written(session, statement, count))
    found: list[Any] = []
    total = 0
    for chunk in row_parts(session, attributes, rows, ROWS):
        flat = [value for row in chunk for value in row]
        builder = statement.builder(attributes, len(chunk)).returning(*columns)
        text, tail = insert_text(session, builder, len(flat))
        flat += tail
        if load is None:
            outcome = yield from _send(session, Execute(text, flat, None, True), filled, check)
            total += max(outcome.rowcount, 0)
        else:
            command = Execute(text, flat, lambda r: load(r, session.identity, session, None), True)
            found += yield from _send(session, command, filled, check)
            total = len(found)
    if changed:
        yield from follow(session, statement.mapper, all_written(statement.mapper, changed))
    return QueryResult(found, _written(session, statement, total))


def _insert_calculated(
    session: SessionBase, statement: Insert, attributes: Sequence[Attribute], rows: Iterable[Sequence[Any]]
) -> Plan[QueryResult[Any]]:
    """Insert rows some of whose values are expressions, many with one statement."""
    columns, load = returned(session, statement)
    checked = [_checked_plain(statement, attributes, row) for row in rows]
    found: list[Any] = []
    total = 0
    lengths = [sum([len(value) for value in row if isinstance(value, (str, bytes))]) for row in checked]
    for chunk in cut(checked, lengths, CALCULATED_ROWS, session.dialect.features.max_values_length):
        built = statement.calculating_builder(attributes, chunk).returning(*columns).build()
        text, params = session.compilation.statement(built).render(built.binds)
        if load is None:
            outcome = yield from session.send(Execute(text, params, None, True))
            total += max(outcome.rowcount, 0)
        else:
            command = Execute(text, params, lambda r: load(r, session.identity, session, None), True)
            found += yield from session.send(command)
            total = len(found)
    changed = statement.conflict_changes()
    if changed:
        yield from follow(session, statement.mapper, all_written(statement.mapper, changed))
    return QueryResult(found, _written(session, statement, total))


def _written(session: SessionBase, statement: Insert, count: int) -> int:
    """Return how many rows were inserted or updated: `count`, where the backend counts those; -1 where
    nobody knows.
    """
    if statement.conflict is None or session.dialect.features.conflict_rows:
        return count
    return len(statement.rows) if statement.conflict_update else -1


def _checked_plain(statement: Insert, attributes: Sequence[Attribute], row: Sequence[Any]) -> list[Any]:
    """Return a row whose plain values have been checked; raise `ValidationError` with all that is wrong."""
    plain = [a for a, value in zip(attributes, row) if not is_calculated(value)]
    values = [value for value in row if not is_calculated(value)]
    known = dict(zip(plain, RowChecker(statement.mapper, plain)(values)))
    return [known.get(a, value) for a, value in zip(attributes, row)]


def conflicts_apart(session: SessionBase, statement: Insert, attributes: Any, rows: list[Any]) -> bool:
    """Whether rows can be written at once: no two of them meet each other in the columns of the conflict."""
    if not session.dialect.features.row_batches or len(rows) < 2:
        return False
    columns = statement.conflict_columns()
    positions = [n for n, a in enumerate(attributes) if a.column in columns]
    if not columns or len(positions) < len(columns):
        return False
    return len({tuple([row[n] for n in positions]) for row in rows}) == len(rows)


def _send(session: SessionBase, command: Any, rows: Iterable[Any], check: RowChecker) -> Plan[Any]:
    """Send a statement made of rows; see `_checked`."""
    return _checked(session.send(command), rows, check)


def _checked(plan: Plan[Any], rows: Iterable[Any], check: RowChecker) -> Plan[Any]:
    """Run what writes rows; when a value does not fit, raise `ValidationError` naming its field."""
    try:
        return (yield from plan)
    except DataError:
        for row in rows:
            check(row)
        raise


def insert_text(session: SessionBase, builder: Any, plain: int) -> tuple[str, list[Any]]:
    """Return the text of an INSERT and the parameters that follow those of its rows."""
    built = builder.build()
    compilation = session.compilation
    # Texts for any number of rows would crowd out the others.
    compiled = compilation.kept(built) if built.rows in (1, ROWS) else compilation.statement(built)
    if len(built.binds) == plain:
        return compiled.sql, []
    text, params = compiled.render(built.binds)
    return text, list(params[plain:])


def change(session: SessionBase, statement: Any) -> Plan[QueryResult[Any]]:
    """Run an UPDATE or DELETE over a model's table."""
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    return (yield from session.transactions.guarded(_change(session, statement)))


def _change(session: SessionBase, statement: Any) -> Plan[QueryResult[Any]]:
    columns, load = returned(session, statement)
    builder = statement.builder(columns)
    written: dict[Any, Any] = statement.changes if isinstance(statement, Update) else {}
    if load is None:
        if not isinstance(statement, Update):
            count = yield from following.delete(session, statement.mapper, builder)
        elif reaches_elsewhere(statement.mapper, written):
            builder.build()  # for its refusals
            count = yield from following.update_joined(session, statement.mapper, statement.rows(), written)
        else:
            count = yield from following.update(session, statement.mapper, builder, written, statement.rows())
        return QueryResult([], count)
    built = builder.build()
    text, params = session.compilation.kept(built).render(built.binds)
    command = Execute(text, params, lambda rows: load(rows, session.identity, session, None), True)
    with changing(session, statement.mapper, written, deleting=not written):
        found: Sequence[Any] = yield from session.send(command)
    if found:
        yield from following.after(session, statement)
    return QueryResult(found)
