"""The migration engine: which migrations are to be applied or rolled back, and the two ways to do it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from time import sleep
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from blaze.adapters.options import COMMON_OPTIONS, read_option
from blaze.errors import ConfigurationError, MigrationError
from blaze.plan import Command, Plan, arun, run
from blaze.schema.history import APPLIED, AppliedMigration, History
from blaze.schema.migration import ZERO, CompiledMigration, Migration, compile_migration
from blaze.schema.operations import Operation
from blaze.schema.running import Pause, Run
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect
    from blaze.engine import Engine

__all__ = ["MigrationEngine"]

T = TypeVar("T")


class MigrationEngine:
    """Apply migrations to a database, each once and in order, and take them back.

    Migrations are given here or to `apply`, the oldest first: all there are, at once or in steps, since an
    engine remembers what it was given, for `rollback` too. What has been applied stands in the table `table`
    (in `schema`). Any number of runners may work at once, in threads, processes or on other machines; one
    waits for another at most `lock_timeout` seconds per migration. The methods that begin with `a` are
    awaited and do the same.

    Each call opens a connection of its own, whose statements may take `statement_timeout` seconds (0: no
    limit), whatever the engine's own limit is: an index on a large table takes long.
    """

    def __init__(
        self,
        engine: Engine,
        migrations: Iterable[Migration] = (),
        *,
        table: str = "blaze_migrations",
        schema: Optional[str] = None,
        lock_timeout: float = 60.0,
        statement_timeout: float = 0.0,
    ) -> None:
        if not hasattr(engine, "acquire"):
            raise ConfigurationError(
                f"migrations are applied to an Engine, not to a {type(engine).__name__}; write"
                " MigrationEngine(Engine('sqlite:///app.db'))"
            )
        self.engine = engine
        self.table = table
        self.schema = schema
        self.lock_timeout = lock_timeout
        self.statement_timeout = read_option("statement_timeout", statement_timeout, COMMON_OPTIONS)
        self._migrations: dict[str, Migration] = {}
        self._remember(migrations)

    # Asking

    def applied(self) -> list[str]:
        """Return the names of the applied migrations in their order."""
        return [each.name for each in self.history() if each.state == APPLIED]

    async def aapplied(self) -> list[str]:
        """Return the names of the applied migrations in their order."""
        return [each.name for each in await self.ahistory() if each.state == APPLIED]

    def history(self) -> list[AppliedMigration]:
        """Return what the database remembers of each migration, in the order of application."""
        return self._run(self._history_plan)

    async def ahistory(self) -> list[AppliedMigration]:
        """Return what the database remembers of each migration, in the order of application."""
        return await self._arun(self._history_plan)

    def pending(self, migrations: Iterable[Migration] = ()) -> list[str]:
        """Return the names of the migrations that `apply` would apply; raise `MigrationError` as it would."""
        names = self._remember(migrations)
        return self._run(lambda dialect: self._pending_plan(dialect, names))

    async def apending(self, migrations: Iterable[Migration] = ()) -> list[str]:
        """Return the names of the migrations that `aapply` would apply."""
        names = self._remember(migrations)
        return await self._arun(lambda dialect: self._pending_plan(dialect, names))

    # Doing

    def apply(self, migrations: Iterable[Migration] = (), confirm_destructive: bool = False) -> list[str]:
        """Apply what is not applied yet and return the names of what this runner has applied.

        Everything is checked before anything runs: `MigrationError` is raised for a migration that has
        changed since it was applied, that is missing here, that would come before an applied one, or that
        loses data without `confirm_destructive`. A migration that fails is rolled back where the database can
        roll DDL back, the ones before it stay; elsewhere `apply` goes on later where it broke off.
        """
        _check_confirmation(confirm_destructive)
        names = self._remember(migrations)
        return self._run(lambda dialect: self._apply_plan(dialect, names, confirm_destructive))

    async def aapply(
        self, migrations: Iterable[Migration] = (), confirm_destructive: bool = False
    ) -> list[str]:
        """Apply what is not applied yet; see `apply`."""
        names = self._remember(migrations)
        _check_confirmation(confirm_destructive)
        return await self._arun(lambda dialect: self._apply_plan(dialect, names, confirm_destructive))

    def rollback(self, to: Optional[str] = None, confirm_destructive: bool = False) -> list[str]:
        """Take back what was applied after the migration `to`, the last first, and return the names.

        Without `to` the last one is taken back, with `to="zero"` all are. Everything is checked before
        anything runs: `MigrationError` is raised for a migration that cannot be taken back, that is not known
        here or has changed, and for what loses data without `confirm_destructive`; dropping a table does.
        """
        _check_confirmation(confirm_destructive)
        return self._run(lambda dialect: self._rollback_plan(dialect, to, confirm_destructive))

    async def arollback(self, to: Optional[str] = None, confirm_destructive: bool = False) -> list[str]:
        """Take back what was applied after the migration `to`; see `rollback`."""
        _check_confirmation(confirm_destructive)
        return await self._arun(lambda dialect: self._rollback_plan(dialect, to, confirm_destructive))

    # Plans

    def _history(self, dialect: Dialect) -> History:
        return History(dialect, self.table, self.schema)

    def _history_plan(self, dialect: Dialect) -> Plan[list[AppliedMigration]]:
        return (yield from self._history(dialect).read())

    def _pending_plan(self, dialect: Dialect, names: Sequence[str]) -> Plan[list[str]]:
        records = yield from self._history(dialect).read()
        return [migration.name for migration in self._unapplied(records, names)]

    def _apply_plan(self, dialect: Dialect, names: Sequence[str], confirmed: bool) -> Plan[list[str]]:
        history = self._history(dialect)
        records = yield from history.read()
        pending = [(each, each.operations) for each in self._unapplied(records, names)]
        return (yield from self._each(history, pending, True, confirmed))

    def _rollback_plan(self, dialect: Dialect, to: Optional[str], confirmed: bool) -> Plan[list[str]]:
        history = self._history(dialect)
        records = yield from history.read()
        targets = []
        for record in reversed(_after(records, to)):
            migration = self._migrations.get(record.name)
            if migration is None:
                raise MigrationError(
                    f"migration {record.name!r} is applied, but not known here; give all migrations to"
                    " MigrationEngine(engine, migrations)"
                )
            if record.state == APPLIED:
                _check_unchanged(migration, record)
            operations = migration.backward()
            if operations is None:
                lacking = next(each for each in migration.operations if each.inverse() is None)
                raise MigrationError(
                    f"migration {record.name!r} cannot be rolled back: {lacking!r} has no inverse; give the"
                    " migration a rollback=[...]"
                )
            targets.append((migration, operations))
        return (yield from self._each(history, targets, False, confirmed))

    def _each(
        self,
        history: History,
        migrations: Sequence[tuple[Migration, Sequence[Operation]]],
        forward: bool,
        confirmed: bool,
    ) -> Generator[Command, Any, list[str]]:
        """Check all migrations, then carry them out one by one."""
        runs = []
        for migration, operations in migrations:
            compiled = compile_migration(migration, operations, history.builder)
            if compiled.losses and not confirmed:
                raise _unconfirmed(compiled, forward)
            runs.append(Run(compiled, history, forward, self.lock_timeout))
            runs[-1].check()
        done = []
        for each in runs:
            if (yield from each.plan()):
                done.append(each.migration.name)
        return done

    # Checks

    def _remember(self, migrations: Iterable[Migration]) -> list[str]:
        """Keep migrations and return their names; without any given, those of all that are known."""
        if not isinstance(migrations, (Migration, Iterable)):
            raise MigrationError(f"{migrations!r} is no list of migrations; write [Migration(...), ...]")
        given = [migrations] if isinstance(migrations, Migration) else list(migrations)
        names: set[str] = set()
        for each in given:
            if not isinstance(each, Migration):
                raise MigrationError(f"{each!r} is no Migration; write Migration('0001_initial', [...])")
            if each.name in names:
                raise MigrationError(f"two migrations are named {each.name!r}; rename one")
            names.add(each.name)
        self._migrations.update((each.name, each) for each in given)
        return [each.name for each in given] or list(self._migrations)

    def _unapplied(self, records: Sequence[AppliedMigration], names: Sequence[str]) -> list[Migration]:
        """Return those of the named migrations that are to be applied; the first may have been begun.

        Applied ones that were given earlier need not be named again.
        """
        known = [self._migrations[name] for name in names]
        records = [each for each in records if each.name in names or each.name not in self._migrations]
        for place, record in enumerate(records):
            migration = self._migrations.get(record.name)
            if migration is None:
                raise MigrationError(
                    f"the database has the migration {record.name!r}, which is not among those given: give"
                    " all there are, or the code is older than the database"
                )
            if known[place].name != record.name:
                raise MigrationError(
                    f"migration {known[place].name!r} stands before {record.name!r}, which is applied"
                    " already: an order that no other database has seen; put it behind the applied ones"
                )
            if record.state == APPLIED:
                _check_unchanged(migration, record)
            elif record.state.startswith("reverting"):
                raise MigrationError(
                    f"the rollback of migration {record.name!r} broke off; finish it by rollback() first"
                )
        begun = bool(records) and records[-1].state != APPLIED
        return known[len(records) - begun :]

    # The two ways

    def _run(self, make: Callable[[Dialect], Plan[T]]) -> T:
        with self.engine.with_options(statement_timeout=self.statement_timeout) as engine:
            connection = engine.acquire()
            try:
                return run(make(engine.dialect), _perform(connection))
            finally:
                # Closing it ends transaction and lock, and forgets settings of a rebuild.
                engine.release(connection, discard=True)

    async def _arun(self, make: Callable[[Dialect], Plan[T]]) -> T:
        async with self.engine.with_options(statement_timeout=self.statement_timeout) as engine:
            connection = await engine.aacquire()
            try:
                return await arun(make(engine.async_dialect), _aperform(connection))
            finally:
                await engine.arelease(connection, discard=True)


def _perform(connection: Any) -> Callable[[Command], Any]:
    def perform(command: Command) -> Any:
        return sleep(command.seconds) if isinstance(command, Pause) else command.apply(connection)

    return perform


def _aperform(connection: Any) -> Callable[[Command], Any]:
    from asyncio import sleep as asleep

    def perform(command: Command) -> Any:
        return asleep(command.seconds) if isinstance(command, Pause) else command.apply(connection)

    return perform


def _after(records: Sequence[AppliedMigration], to: Optional[str]) -> Sequence[AppliedMigration]:
    """Return what was applied after a migration; raise `MigrationError` where it is not applied."""
    begun = next((each for each in records if each.state.startswith("applying")), None)
    if begun is not None:
        raise MigrationError(
            f"migration {begun.name!r} broke off half-way; finish it by apply() before a rollback"
        )
    if to is None:
        return records[-1:]
    if to == ZERO:
        return records
    names = [each.name for each in records]
    if to not in names:
        raise MigrationError(f"no migration {to!r} is applied{suggest(to, [*names, ZERO])}")
    return records[names.index(to) + 1 :]


def _check_unchanged(migration: Migration, record: AppliedMigration) -> None:
    if migration.checksum != record.checksum:
        raise MigrationError(
            f"migration {migration.name!r} has changed since it was applied: write a new migration instead"
            " (a model that it was made of may have changed: describe its table by table(...))"
        )


def _check_confirmation(given: Any) -> None:
    """Take nothing but True and False for an answer: `"no"` is true for Python."""
    if not isinstance(given, bool):
        raise MigrationError(f"confirm_destructive is True or False, not {given!r}")


def _unconfirmed(migration: CompiledMigration, forward: bool) -> MigrationError:
    what = "migration" if forward else "rollback of migration"
    call = "apply" if forward else "rollback"
    return MigrationError(
        f"{what} {migration.name!r} may lose data: {'; '.join(migration.losses)}. Nothing was executed; if"
        f" this is meant, call {call}(..., confirm_destructive=True)"
    )
