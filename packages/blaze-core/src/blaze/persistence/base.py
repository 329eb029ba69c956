"""What both sessions share: their state, their plans, and everything that needs no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Optional, Union

from blaze.adapters.alone import ExecuteAlone
from blaze.core.context import LoadContext
from blaze.core.registry import registry
from blaze.core.specs import UNSET
from blaze.engine import Engine, Target
from blaze.errors import (
    ConfigurationError,
    ConnectionLostError,
    NotLoadedError,
    QueryError,
    SessionError,
)
from blaze.hooks.registry import registry as hook_registry
from blaze.persistence import links
from blaze.persistence.counting import count_plan, narrowed
from blaze.persistence.expiring import revive
from blaze.persistence.flush import Flush
from blaze.persistence.holder import Holder
from blaze.persistence.identity_map import IdentityMap
from blaze.persistence.loading import unload_deferred
from blaze.persistence.observed import Observed
from blaze.persistence.stored import note
from blaze.persistence.transaction import TransactionManager
from blaze.persistence.unit_of_work import UnitOfWork
from blaze.plan import Plan, Release, Savepoint, fire
from blaze.query.compilation import Compilation
from blaze.query.looking_up import paths_to
from blaze.query.root import Root, root_of
from blaze.security import Secret
from blaze.utils.tracker import QueryTracker

if TYPE_CHECKING:
    from blaze.adapters.config import ConnectionConfig
    from blaze.cache.backend import AsyncCacheBackend, CacheBackend
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.caching import SessionCache
    from blaze.sql.keyed import Keyed

_LAZY = (None, "batch", "raise")


def refuse_flags(**flags: Any) -> NoReturn:
    """Raise `ConfigurationError` for the first argument of a session that is neither True nor False."""
    name, value = next((n, v) for n, v in flags.items() if not isinstance(v, bool))
    raise ConfigurationError(f"{name} is True or False, not a {type(value).__name__} ({value!r})")


def never_entered() -> SessionError:
    """Return the error for leaving a session that no `with` entered."""
    return SessionError("the session was left without having been entered; use it in a `with` block")


class SessionBase(Holder, Observed):
    """State and plans of a session; the two sessions drive the plans."""

    asynchronous = False
    lone_command = ExecuteAlone

    # Defaults on the class keep the making of a session short.
    closed = False
    connection: Any = None
    own_engine = False
    default_isolation: Optional[str] = None
    flushing = False
    telling = False  # whether handlers of before_execute or after_execute are running
    streams: Any = ()  # open ones, which read from the connection
    altered = False  # whether raw SQL has left settings, locks or the like on the connection
    autoflush = True
    lazy: Optional[str] = None
    cache: Optional[SessionCache] = None

    def __init__(
        self,
        target: Union[Engine, Target],
        *,
        connection_config: Optional[ConnectionConfig] = None,
        dsn: Optional[str] = None,
        autocommit: bool = False,
        auto_commit: bool = False,
        auto_rollback: bool = True,
        atomic: bool = False,
        autoflush: bool = True,
        lazy: Optional[Literal["batch", "raise"]] = None,
        cache_backend: Union[CacheBackend, AsyncCacheBackend, str, None] = None,
        performance_threshold: int = 5,
        slow_query_ms: Optional[float] = None,
        hooks: Sequence[object] = (),
    ) -> None:
        # One chain of identities: sessions are opened often.
        if not (
            bool
            is autocommit.__class__
            is auto_commit.__class__
            is auto_rollback.__class__
            is atomic.__class__
            is autoflush.__class__
        ):
            refuse_flags(
                autocommit=autocommit,
                auto_commit=auto_commit,
                auto_rollback=auto_rollback,
                atomic=atomic,
                autoflush=autoflush,
            )
        self.set_up()
        self._entered: list[Any] = []
        if isinstance(target, Engine) and connection_config is None and dsn is None:
            self.engine: Engine = target
        else:
            # DSNs are wrapped before anything can fail, so that no traceback shows their password.
            if isinstance(target, str):
                target = Secret(target)
            secret = None if dsn is None else Secret(dsn)
            del dsn
            self._make_engine(target, connection_config, secret)
        self.dialect = self.engine.async_dialect if self.asynchronous else self.engine.dialect
        self.compilation = Compilation.of(self.dialect)
        self.autocommit = autocommit or bool(self.engine.config.options.get("autocommit"))
        self.auto_commit = auto_commit
        self.auto_rollback = auto_rollback
        self.atomic = atomic
        if not autoflush:
            self.autoflush = False
        if lazy is not None:
            if lazy not in _LAZY:
                raise ConfigurationError(f"lazy must be 'batch' or 'raise', not {lazy!r}")
            self.lazy = lazy
        if cache_backend is not None:
            from blaze.persistence.caching import SessionCache  # most programs have none

            self.cache = SessionCache(self, cache_backend)
        self.identity = IdentityMap()
        self.work = UnitOfWork(self.identity)
        self.pending_context = LoadContext(self)  # of all objects that are not inserted yet
        self.transactions = TransactionManager(self)
        self.hooks = hook_registry.table(hooks, self.asynchronous)
        self.tracker = QueryTracker(performance_threshold, paths_to=paths_to)
        self.log = self._statement_log(slow_query_ms)

    if TYPE_CHECKING:

        def _run(self, plan: Any) -> Any: ...
        def caller(self) -> Any: ...
        def query(self, *entities: Any) -> Any: ...

    def set_up(self) -> None:
        """Make what only one kind of session has."""

    def _make_engine(self, target: Any, connection_config: Any, dsn: Any) -> None:
        if connection_config is not None and dsn is not None:
            raise ConfigurationError("give connection_config= or dsn=, not both")
        config = connection_config if connection_config is not None else dsn
        if isinstance(target, Engine):
            if config is not None:
                raise ConfigurationError(
                    "an Engine knows its database; leave out connection_config= and dsn="
                )
            self.engine = target
            return
        if isinstance(target, Secret) and config is not None:
            raise ConfigurationError("the target is a DSN already; leave out connection_config= and dsn=")
        if config is not None:
            self.engine = Engine(target, config=config)
        else:
            self.engine = Engine(target)
        self.own_engine = True

    # --- usability --------------------------------------------------------------------------------

    def check_usable(self) -> None:
        """Raise `SessionError` for a closed session, or one whose transaction the database has ended."""
        if self.closed:
            raise SessionError("the session is closed; open a new one")
        broken = self.transactions.broken
        if broken is not None:
            what = str(broken).partition("\n")[0] or type(broken).__name__
            raise SessionError(
                f"the transaction is lost ({what}); call rollback() before anything else"
            ) from broken

    def check_streaming(self, connection: Any) -> None:
        """Raise `SessionError` when the session was closed before a stream had ended, `ConnectionLostError`
        when the connection was lost.
        """
        if self.closed:
            raise SessionError("the session was closed before the stream had ended: read it inside its block")
        if not connection.usable:
            lost = ConnectionLostError(
                "the connection of the stream is lost, or belongs to the parent of this forked process; "
                "call rollback() and begin the stream anew"
            )
            self.transactions.note_failure(lost, connection)
            raise lost

    def discard_connection(self) -> None:
        """Have the connection closed instead of reused."""
        if self.connection is not None:
            self.connection.usable = False

    @property
    def keeps_connection(self) -> bool:
        """Whether the connection stays until the session is closed: what was left on it holds as long."""
        return self.altered and not self.closed and self.connection is not None and self.connection.usable

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.transactions.begun

    # --- commands ---------------------------------------------------------------------------------

    def send(self, command: Any) -> Plan[Any]:
        """Yield a command, after the begin of a transaction where it needs one."""
        transactions = self.transactions
        if transactions.broken is not None or self.closed:
            self.check_usable()
        if not transactions.begun and (command.writes or self.dialect.features.begin_on_read):
            if command.alone:
                return (yield from transactions.send_alone(command))
            yield from transactions.begin()
        if not command.writes:
            return (yield command)
        if not self.flushing:
            transactions.note_bypass()
        if self.cache is not None and not self.cache.exact:
            self.cache.journal.note_statement(command.sql, self.dialect.features.lexis)
        result = yield command
        transactions.wrote = True
        transactions.epoch += 1
        if not self.flushing and not self.dialect.features.transactional_ddl:
            yield from transactions.see_implicit_commit()
        return result

    def flush_plan(self, all: bool = True) -> Plan[list[Any]]:
        """Write what is pending; a failure leaves session and objects as they were.

        Without `all` the new objects stay out that nobody has added. Return the objects whose hooks were
        called after it, which may have left something pending again.
        """
        if self.flushing:
            return []
        self.check_usable()
        work = self.work
        if work.comers and all:
            for instance in self.comers():
                self.adopt(instance)
            work.comers.clear()
        if work.mutables:
            work.sweep(self.compilation.codecs)
        if not work.needs_flush:
            work.dropped.clear()
            return []
        if work.expired:
            yield from revive(self)
        transactions = self.transactions
        begun, wrote = transactions.begun, transactions.wrote
        features = self.dialect.features
        guarded, joined = begun and features.savepoints, features.joined_savepoints
        flush = Flush(self)
        running = False
        try:
            self.flushing = True
            if guarded:
                yield Savepoint("blaze_flush", joined)
            running = True
            yield from flush.run()
            if guarded:
                yield Release("blaze_flush", joined)
            self.flushing = False
        except BaseException as error:  # no `finally`: an interrupt at its only line would leave the flag set
            self.flushing = False
            if running and not flush.finished:
                transactions.wrote = wrote
                yield from transactions.take_back(begun, error, "blaze_flush")
            raise
        return flush.told_after

    @contextmanager
    def no_autoflush(self) -> Iterator[None]:
        """Let queries of the block see the database without pending changes being written first."""
        before, self.autoflush = self.autoflush, False
        try:
            yield
        finally:
            self.autoflush = before

    # --- registers --------------------------------------------------------------------------------

    @property
    def new(self) -> list[Any]:
        """The objects that the next flush inserts."""
        if self.work.needs_flush and not self.flushing:
            Flush(self).cascade()
        return [*self.work.new.values(), *self.comers()]

    @property
    def dirty(self) -> list[Any]:
        """The loaded objects with changes that the next flush updates."""
        work, codecs = self.work, self.compilation.codecs
        found = []
        for instance in {**work.changed, **work.mutables}.values():
            mapper = type(instance).__mapper__
            codec = codecs[mapper]
            old = None if mapper.is_clean(instance) else mapper.get_old(instance)
            changed = (
                codec.diff(instance, old)
                if old is not None
                else not work.is_unchanged(instance)
                and any(codec.mutable_changed(instance, index) for index in mapper.mutable_indexes)
            )
            if changed and id(instance) not in work.deleted:
                found.append(instance)
        return found

    @property
    def deleted(self) -> list[Any]:
        """The objects that the next flush deletes."""
        return list(self.work.deleted.values())

    # --- models and keys --------------------------------------------------------------------------

    def mapper_of(self, model: Any) -> Mapper:
        """Return the mapper of a model; raise `QueryError` for anything else."""
        mapper: Optional[Mapper] = getattr(model, "__mapper__", None) if isinstance(model, type) else None
        if mapper is None:
            raise QueryError(f"{model!r} is not a model")
        if not mapper.configured:
            registry.configure(mapper)
        return mapper

    def root_of(self, mapper: Mapper) -> Root:
        """Return the shared start of queries for whole objects."""
        root: Root = mapper.root or root_of((mapper.model,))
        return root

    def lazy_of(self, instance: Any) -> str:
        """Return what lazy access to an object does: the word of its query, the session's, the model's."""
        found = instance._ctx_.lazy or self.lazy or type(instance).__mapper__.options.lazy
        return found or "batch"

    # --- loading ----------------------------------------------------------------------------------

    def resolve_known(self, instance: Any, relation: Relation) -> Any:
        """Return a to-one related object that the session knows already, else `UNSET`."""
        if not relation.owns_key:
            return UNSET
        known = self.identity[relation.target.model].get(relation.key_of(instance))
        if known is None or (relation.target.parent and not isinstance(known, relation.target.model)):
            return UNSET
        relation.set(instance, known)
        return known

    def key_read(self, relation: Relation, instance: Any, values: tuple[Any, ...]) -> None:
        """Called by a loader that meets a known object, whose foreign key may not have been loaded yet."""
        mapper, missing = type(instance).__mapper__, [a for a in relation.local if a.peek(instance) is UNSET]
        note(mapper, instance, dict(zip(relation.local, values)))
        if missing and self.work.undo:
            self.work.undo += [partial(unload_deferred, attribute, [instance]) for attribute in missing]

    def refuse_lazy(self, instance: Any, relation: Relation) -> NotLoadedError:
        """Return the error for a relation that is not loaded and must not, or cannot, be loaded now."""
        path = f"{relation.owner.name}.{relation.name}"
        if self.closed:
            why = "its session is closed"
            cure = f"include({path}) in the query, or read it while the session is open"
        elif self.asynchronous:
            why = "an asynchronous session loads nothing by itself"
            cure = f"include({path}) in the query, or `await session.load(obj, {path})`"
        else:
            why = 'lazy="raise" forbids loading it now'
            cure = f"include({path}) in the query, or session.load(obj, {path})"
        return NotLoadedError(f"{path} is not loaded and {why}: {cure}")

    def refuse_deferred(self, instance: Any, attribute: Attribute) -> NotLoadedError:
        """Return the error for a column that was left out and cannot be loaded now."""
        mapper = type(instance).__mapper__
        path = f"{mapper.name}.{attribute.name}"
        if self.work.is_expired(instance):
            how = "await " if self.asynchronous else ""
            return NotLoadedError(
                f"{path} was rolled back and is not loaded again, since it was read after a statement that "
                f"wrote past the objects: `{how}session.refresh(obj)`, or whatever the session reads next, "
                "loads it"
            )
        if self.closed:
            why, cure = "its session is closed", "read it while the session is open"
        elif self.asynchronous:
            why = "an asynchronous session loads nothing by itself"
            cure = f"`await session.load(obj, {path})`"
        else:
            why, cure = 'lazy="raise" forbids loading it now', f"session.load(obj, {path})"
        return NotLoadedError(f"{path} is not loaded and {why}: do not defer it in the query, or {cure}")

    def thaw(self, instance: Any, attribute: Attribute, raw: Any) -> Any:
        """Decode a value that may change in place, and watch it from now on."""
        value = self.compilation.codecs[type(instance).__mapper__].decode(attribute, raw)
        attribute.set(instance, value)
        if not self.closed:
            self.work.mutables[id(instance)] = instance
        return value

    def known_before(self) -> Optional[dict[Any, int]]:
        """Return how many objects of each model are known, for `loaded_since`; None without `on_load`
        hooks.
        """
        if not (self.hooks.loads or registry.has_load_hooks):
            return None
        return {model: len(objects) for model, objects in self.identity.items()}

    def loaded_since(self, before: dict[Any, int]) -> Plan[None]:
        """Run the `on_load` hooks of the objects that were made since; they stand last in the identity
        map.
        """
        fresh: list[Any] = []
        for model, objects in self.identity.items():
            count = len(objects) - before.get(model, 0)
            if count > 0:
                fresh += reversed(list(islice(reversed(objects.values()), count)))
        yield from self.loaded(fresh)

    def loaded(self, instances: Iterable[Any]) -> Plan[None]:
        """Run the `on_load` hooks of these objects."""
        table = self.hooks
        for instance in instances:
            model = type(instance).__mapper__.model
            handlers = (table.known.get(id(model)) or table.for_model(model)).on_load
            if handlers:
                yield from fire(handlers, session=self, instance=instance)

    def ask_list(self, listed: RelatedList[Any], only_any: bool) -> Any:
        """Answer `count()` and `exists()` of a to-many list."""
        return self._run(count_plan(self, listed, only_any))

    def query_list(self, listed: RelatedList[Any]) -> Any:
        """Return a query for the objects of a to-many list."""
        return narrowed(self.query(listed.relation.target.model), listed.owner, listed.relation)

    # --- many-to-many -----------------------------------------------------------------------------

    def link_sql(self, link: Any, what: str) -> Keyed:
        """Return the statement that adds, removes or clears rows of a join table."""
        return links.link_sql(self.dialect, link, what)

    def related(self, instance: Any, relation: Any) -> Any:
        """Return the list of a many-to-many relation given by path or name."""
        name = relation if isinstance(relation, str) else getattr(relation, "_names_", (relation,))[-1]
        self.check_usable()
        self.adopt(instance)
        return instance._many(name)

    def _schema(self, plan: Plan[None]) -> Plan[None]:
        """Send the statements of a schema plan through the session's transaction.

        Nothing is flushed: pending objects may need the very tables that are made.
        """
        self.check_usable()
        answer: Any = None
        try:
            while True:
                answer = yield from self.send(plan.send(answer))
        except StopIteration:
            return

    # --- the end ----------------------------------------------------------------------------------

    def forget(self) -> None:
        """Mark the session closed and let go of its objects; they stay readable."""
        work = self.work
        if work.undo:  # a rollback was interrupted
            work.undo_to(0)
        self.closed = True
        work.new.clear()
        work.comers.clear()
        work.dropped.clear()
        work.changed.clear()
        work.deleted.clear()
        work.collections.clear()
        work.mutables.clear()
        work.undo.clear()
        work.forgotten.clear()
        work.expired.clear()
        self.identity.clear()

    def pending_summary(self) -> Optional[str]:
        """Say what would be lost without a commit, None when nothing would."""
        work = self.work
        if not work.pending and not work.undo:
            return None
        parts = []
        for count, word in (
            (len(self.new), "new"),
            (len(self.dirty), "changed"),
            (len(work.deleted), "deleted"),
            (sum(1 for found in work.collections.values() if found.relation.link is not None), "relinked"),
        ):
            if count:
                parts.append(f"{count} {word}")
        if self.transactions.wrote:
            parts.append("what was flushed or executed")
        return ", ".join(parts) or None

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        engine = getattr(self, "engine", None)  # a traceback may show a session that could not be made
        return f"<{type(self).__name__} {state} at {id(self):#x} on {engine!r}>"
