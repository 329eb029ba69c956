"""Create and drop the tables of models: plans, and the functions that run them on an engine."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Union

from blaze.errors import ConfigurationError, ForeignKeyError
from blaze.plan import Begin, Command, Commit, Execute, Plan, arun, run
from blaze.schema.builder import SchemaBuilder
from blaze.schema.reading import define_tables

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect
    from blaze.engine import Engine

__all__ = ["acreate_all", "adrop_all", "create_all", "create_all_plan", "drop_all", "drop_all_plan"]

Models = Union[type, Iterable[type]]


def create_all_plan(dialect: Dialect, models: Models) -> Plan[None]:
    """Plan to create what is missing of the tables and indexes of models; `ModelError` comes at once."""
    return _execute(SchemaBuilder(dialect).create_sql(models, if_not_exists=True))


def drop_all_plan(dialect: Dialect, models: Models) -> Plan[None]:
    """Plan to drop what there is of the tables of models, with all their rows; `ModelError` comes at once.

    It raises `ForeignKeyError` where another table refers to one of them.
    """
    definitions = define_tables(models, reached=True)
    statements = SchemaBuilder(dialect).drop_tables(definitions, if_exists=True)
    return _drop(dialect, [each.table.name for each in definitions], statements)


def _drop(dialect: Dialect, tables: list[str], statements: Sequence[str]) -> Plan[None]:
    asked = dialect.referring_sql(tables)
    if asked is not None:
        found = yield Execute(*asked, list, writes=False)
        if found:
            other, name = found[0]
            raise ForeignKeyError(
                f"the table {name!r} cannot be dropped: the table {other!r} refers to it, and its rows would "
                "go or change by their ON DELETE rules; drop both, or remove the foreign key by a migration"
            )
    yield from _execute(statements)


def create_all(engine: Engine, models: Models) -> None:
    """Create the missing tables and indexes of models, all or nothing where the database allows it.

    An existing table stays as it is: only migrations change tables.
    """
    _run(engine, create_all_plan(_checked(engine).dialect, models))


def drop_all(engine: Engine, models: Models) -> None:
    """Drop the tables of models with all their rows; those that are missing are no error.

    Raises `ForeignKeyError` (or what the server raises) where a table that is not dropped refers to one.
    """
    _run(engine, drop_all_plan(_checked(engine).dialect, models))


async def acreate_all(engine: Engine, models: Models) -> None:
    """Create the missing tables and indexes of models; see `create_all`."""
    await _arun(engine, create_all_plan(_checked(engine).async_dialect, models))


async def adrop_all(engine: Engine, models: Models) -> None:
    """Drop the tables of models with all their rows; see `drop_all`."""
    await _arun(engine, drop_all_plan(_checked(engine).async_dialect, models))


def _checked(engine: Any) -> Engine:
    from blaze.engine import Engine

    if not isinstance(engine, Engine):
        raise ConfigurationError(f"tables are made on an engine, not on a {type(engine).__name__}")
    return engine


def _execute(statements: Sequence[str]) -> Generator[Command, Any, None]:
    for sql in statements:
        yield Execute(sql, (), None, writes=True)


def _in_transaction(dialect: Dialect, plan: Plan[None]) -> Generator[Command, Any, None]:
    """Wrap a plan in a transaction where DDL can be rolled back; after an error the pool rolls back."""
    if dialect.features.transactional_ddl:
        yield Begin()
        yield from plan
        yield Commit()
    else:
        yield from plan


def _run(engine: Engine, plan: Plan[None]) -> None:
    with engine.connection() as connection:
        run(_in_transaction(engine.dialect, plan), lambda command: command.apply(connection))


async def _arun(engine: Engine, plan: Plan[None]) -> None:
    async with engine.aconnection() as connection:
        await arun(_in_transaction(engine.async_dialect, plan), lambda command: command.apply(connection))
