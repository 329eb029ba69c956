"""What both sessions share: their state, their plans, and everything that needs no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

from blaze.core.context import LoadContext
from blaze.core.registry import registry
from blaze.core.specs import UNSET
from blaze.engine import Engine, Target
from blaze.errors import (
    ConfigurationError,
    ModelError,
    NotLoadedError,
    QueryError,
    SessionError,
)
from blaze.hooks.registry import registry as hook_registry
from blaze.persistence import links
from blaze.persistence.counts import row_count
from blaze.persistence.deletes import key_before
from blaze.persistence.detached import DETACHED, ROLLED_BACK
from blaze.persistence.flush import Flush
from blaze.persistence.identity_map import IdentityMap
from blaze.persistence.transaction import TransactionManager
from blaze.persistence.unit_of_work import UnitOfWork
from blaze.plan import Execute, ExecuteMany, Plan, Release, Rollback, RollbackTo, Savepoint, fire
from blaze.query.compilation import Compilation
from blaze.query.root import Root, root_of
from blaze.security import Secret
from blaze.security.redaction import Redactor
from blaze.sql.values import INTEGER
from blaze.utils.naming import suggest
from blaze.utils.tracker import QueryTracker

if TYPE_CHECKING:
    from blaze.adapters.config import ConnectionConfig
    from blaze.cache.backend import CacheBackend
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.utils.logging import StatementLog

_LAZY = (None, "batch", "raise")
MISSING: Any = object()


class SessionBase:
    """State and plans of a session; the two sessions drive the plans."""

    asynchronous = False

    # Defaults on the class keep the making of a session short.
    closed = False
    connection: Any = None
    own_engine = False
    default_isolation: Optional[str] = None
    flushing = False
    streams: Any = ()  # open ones, which read from the connection
    autoflush = True
    lazy: Optional[str] = None

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
        cache_backend: Optional[CacheBackend] = None,
        performance_threshold: int = 5,
        slow_query_ms: Optional[float] = None,
        hooks: Sequence[object] = (),
    ) -> None:
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
            raise ConfigurationError(
                "cache_backend= is not connected to sessions in this version; leave it out"
            )
        self.identity = IdentityMap()
        self.work = UnitOfWork(self.identity)
        self.pending_context = LoadContext(self)  # of all objects that are not inserted yet
        self.transactions = TransactionManager(self)
        self.hooks = hook_registry.table(hooks, self.asynchronous)
        self.tracker = QueryTracker(performance_threshold)
        self.log = self._statement_log(slow_query_ms)

    def _statement_log(self, slow_query_ms: Optional[float]) -> StatementLog:
        """Return the log of slow statements; the default one is made once for each engine."""
        memory = self.dialect.memory
        found: Optional[StatementLog] = memory.get("statement log") if slow_query_ms is None else None
        if found is not None:
            return found
        from blaze.utils.logging import StatementLog  # logging comes with the first session

        made = StatementLog(slow_query_ms)
        if slow_query_ms is None:
            memory["statement log"] = made
        return made

    def observe(self, command: Union[Execute, ExecuteMany], seconds: float, result: Any) -> None:
        """Note an executed statement: statistics, the log, the slow-query log."""
        rows = row_count(result)
        self.tracker.record(command.sql, seconds, rows, command.first_params)
        log = self.log
        if seconds >= log.slow_seconds:
            log.slow(command.sql, seconds, rows, command.first_params)
        if log.is_verbose():
            log.statement(command.sql, seconds, rows, command.first_params)

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
        if self.transactions.broken is not None:
            raise SessionError(
                f"the transaction is lost ({self.transactions.broken}); call rollback() before anything else"
            ) from self.transactions.broken

    def check_streaming(self) -> None:
        """Raise `SessionError` when the session was closed before a stream had ended."""
        if self.closed:
            raise SessionError("the session was closed before the stream had ended: read it inside its block")

    def discard_connection(self) -> None:
        """Have the connection closed instead of reused."""
        if self.connection is not None:
            self.connection.usable = False

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
            yield from transactions.begin()
        if not command.writes:
            return (yield command)
        if not self.flushing:
            transactions.note_bypass()
        result = yield command
        transactions.wrote = True
        return result

    def flush_plan(self) -> Plan[None]:
        """Write what is pending; a failure leaves session and objects as they were."""
        if self.flushing:
            return
        self.check_usable()
        work = self.work
        if work.mutables:
            work.sweep(self.compilation.codecs)
            if not work.needs_flush:
                return
        transactions = self.transactions
        guarded = transactions.begun and self.dialect.features.savepoints
        wrote = transactions.wrote
        try:
            self.flushing = True
            if guarded:
                yield Savepoint("blaze_flush")
            try:
                yield from Flush(self).run()
            except BaseException:
                transactions.wrote = wrote
                if transactions.begun and transactions.broken is None:
                    if guarded:
                        yield RollbackTo("blaze_flush")
                        yield Release("blaze_flush")
                    else:
                        yield Rollback()
                        transactions.begun = False
                raise
            if guarded:
                yield Release("blaze_flush")
        finally:
            self.flushing = False

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
        return list(self.work.new.values())

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
                else any(codec.mutable_changed(instance, index) for index in mapper.mutable_indexes)
            )
            if changed and id(instance) not in work.deleted:
                found.append(instance)
        return found

    @property
    def deleted(self) -> list[Any]:
        """The objects that the next flush deletes."""
        return list(self.work.deleted.values())

    def object_changed(self, instance: Any) -> None:
        """Called by a loaded object at its first change."""
        if not self.closed:
            self.work.changed[id(instance)] = instance

    def single_changed(self, owner: Any, relation: Relation, previous: Any) -> None:
        """Called before the reverse side of a one-to-one relation shows another object."""
        if not self.closed:
            self.work.singles.setdefault((id(owner), relation.name), (owner, relation, previous))

    def collection_changed(self, changed_list: RelatedList[Any]) -> None:
        """Called by a list of related objects at a change."""
        if not self.closed:
            self.work.collections[id(changed_list)] = changed_list

    def adopt(self, instance: Any) -> None:
        """Take an object in: a new one will be inserted, a loaded one is tracked.

        Raises `SessionError` for an object that another open session holds, `ModelError` for no model.
        """
        mapper: Optional[Mapper] = getattr(type(instance), "__mapper__", None)
        if mapper is None:
            raise ModelError(f"cannot add {type(instance).__name__}: it is not an instance of a model")
        if not mapper.configured:
            registry.configure(mapper)
        if mapper.options.view:
            raise ModelError(f"{mapper.name} is a view and read-only")
        context = instance._ctx_
        work = self.work
        again = context is ROLLED_BACK
        if context is not None and context.session is not self:
            other = context.session
            if not other.closed:
                raise SessionError(
                    f"this {mapper.name} belongs to another session, {other!r}; "
                    "merge() it, or expunge() it there"
                )
            if mapper.is_new(instance):
                for index in mapper.mutable_indexes:
                    getattr(instance, mapper.columns[index].name)  # only that session decodes it
            context = None
        if context is not None:
            if mapper.is_new(instance):
                work.new[id(instance)] = instance
            return
        if mapper.is_new(instance):
            instance._ctx_ = self.pending_context
            work.new[id(instance)] = instance
        else:
            self._attach(mapper, instance)
        for name in instance._extra_ or ():
            relation = mapper.relations.get(name)
            if relation is not None and relation.many:
                found = relation.collection(instance)
                work.collections[id(found)] = found
        if again:
            self._show_again(mapper, instance)

    @staticmethod
    def _show_again(mapper: Mapper, instance: Any) -> None:
        """Put an object that was rolled back into the loaded other sides of its relations again."""
        for relation in mapper.relations.values():
            inverse, related = relation.inverse, relation.peek(instance)
            if inverse is None or related is None or related is UNSET:
                continue
            for other in related.peek() if relation.many else (related,):
                if relation.link is not None or relation.owns_key:
                    inverse.note_member(other, instance)

    def _attach(self, mapper: Mapper, instance: Any) -> None:
        """Take over an object that a session loaded which is closed now."""
        key = key_before(mapper, instance)
        objects = self.identity[mapper.model]
        known = objects.get(key)
        if known is not None and known is not instance:
            raise SessionError(
                f"the session holds another {mapper.name} with the key {key!r}; merge() this one into it"
            )
        mapper.set_context(instance, LoadContext(self, (instance,)))
        objects[key] = instance
        if not mapper.is_clean(instance):
            self.work.changed[id(instance)] = instance
        if mapper.mutable_indexes:
            self.work.mutables[id(instance)] = instance

    def register(self, instance: Any) -> None:
        """Do the work of `add`."""
        self.check_usable()
        self.adopt(instance)
        self.work.deleted.pop(id(instance), None)

    def register_delete(self, instance: Any) -> None:
        """Do the work of `delete`."""
        self.check_usable()
        mapper = getattr(type(instance), "__mapper__", None)
        if mapper is None:
            raise ModelError(f"cannot delete {type(instance).__name__}: it is not an instance of a model")
        work = self.work
        if mapper.is_clean(instance) and instance._ctx_.session is self and not mapper.options.view:
            work.deleted[id(instance)] = instance
            return
        if mapper.is_new(instance):
            if work.new.pop(id(instance), None) is None:
                raise SessionError(f"cannot delete this {mapper.name}: it was never saved")
            mapper.make_new(instance)
            return
        self.adopt(instance)
        work.deleted[id(instance)] = instance

    def expunge(self, instance: Any) -> None:
        """Take an object out of the session: it stays readable and is no longer tracked."""
        mapper = self.held(instance)
        work = self.work
        identity = id(instance)
        for register in (work.new, work.changed, work.deleted, work.mutables):
            register.pop(identity, None)
        for changed_list in list(work.collections.values()):
            if changed_list.owner is instance:
                del work.collections[id(changed_list)]
        if not mapper.is_new(instance):
            for index in mapper.mutable_indexes:
                getattr(instance, mapper.columns[index].name)  # the session decodes what nobody else can
            work.mutables.pop(identity, None)
            self.identity[mapper.model].pop(key_before(mapper, instance), None)
            mapper.set_context(instance, LoadContext(DETACHED))
        else:
            instance._ctx_ = None

    def held(self, instance: Any) -> Mapper:
        mapper: Optional[Mapper] = getattr(type(instance), "__mapper__", None)
        context = None if mapper is None else instance._ctx_
        if mapper is None or context is None or context.session is not self:
            raise SessionError(
                f"this {type(instance).__name__} does not belong to the session; add() or merge() it"
            )
        return mapper

    def __contains__(self, instance: Any) -> bool:
        context = getattr(instance, "_ctx_", None)
        return context is not None and context.session is self

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

    def lazy_of(self, mapper: Optional[Mapper]) -> str:
        """Return what lazy access does: the session's say, then the model's."""
        if self.lazy is not None:
            return self.lazy
        return (mapper.options.lazy if mapper is not None else None) or "batch"

    def checked_key(self, mapper: Mapper, key: Any, keys: dict[str, Any]) -> Any:
        """Return a primary key given as a value, a tuple or keywords; raise `QueryError` when it cannot be
        one.
        """
        pk = mapper.pk
        if not keys and key.__class__ is int and len(pk) == 1 and pk[0].type == INTEGER and 0 <= key < 2**63:
            return key
        names = [attribute.name for attribute in pk]
        if keys:
            if key is not MISSING:
                raise QueryError(f"give the key of {mapper.name} once: as a value or by keywords")
            for name in keys:
                if name not in names:
                    raise QueryError(
                        f"{name!r} is not part of the key of {mapper.name}{suggest(name, names)}"
                    )
            if len(keys) < len(names):
                raise QueryError(f"the key of {mapper.name} has the parts {', '.join(names)}")
            key = tuple(keys[name] for name in names) if len(names) > 1 else keys[names[0]]
        elif key is MISSING:
            raise QueryError(f"the key of {mapper.name} is missing: {', '.join(names)}")
        values = key if len(pk) > 1 else (key,)
        if len(pk) > 1 and (not isinstance(key, (tuple, list)) or len(key) != len(pk)):
            raise QueryError(f"the key of {mapper.name} is a tuple ({', '.join(names)}), not {key!r}")
        for attribute, value in zip(pk, values):
            problem = attribute.type.check(value) if value is not None else "None is no key"
            if problem is not None:
                raise QueryError(f"get({mapper.name}): the key {attribute.name!r} does not fit: {problem}")
        return tuple(key) if len(pk) > 1 else key

    # --- loading ----------------------------------------------------------------------------------

    def resolve_known(self, instance: Any, relation: Relation) -> Any:
        """Return a to-one related object that the session knows already, else `UNSET`."""
        if not relation.owns_key:
            return UNSET
        known = self.identity[relation.target.model].get(relation.key_of(instance))
        if known is None:
            return UNSET
        relation.set(instance, known)
        return known

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
        why = "its session is closed" if self.closed else "an asynchronous session loads nothing by itself"
        cure = "read it while the session is open" if self.closed else f"`await session.load(obj, {path})`"
        return NotLoadedError(f"{path} is not loaded and {why}: do not defer it in the query, or {cure}")

    def thaw(self, instance: Any, attribute: Attribute, raw: Any) -> Any:
        """Decode a value that may change in place, and watch it from now on."""
        value = self.compilation.codecs[type(instance).__mapper__].decode(attribute, raw)
        attribute.set(instance, value)
        if not self.closed:
            self.work.mutables[id(instance)] = instance
        return value

    def loaded(self, instances: Iterable[Any]) -> Plan[None]:
        """Run the `on_load` hooks."""
        for instance in instances:
            handlers = self.hooks.for_model(type(instance).__mapper__.model).on_load
            if handlers:
                yield from fire(handlers, session=self, instance=instance)

    # --- many-to-many -----------------------------------------------------------------------------

    def link_sql(self, link: Any, what: str) -> str:
        """Return the statement that adds, removes or clears rows of a join table."""
        return links.link_sql(self.dialect, link, what)

    def related(self, instance: Any, relation: Any) -> Any:
        """Return the list of a many-to-many relation given by path or name."""
        name = relation if isinstance(relation, str) else getattr(relation, "_names_", (relation,))[-1]
        self.check_usable()
        self.adopt(instance)
        return instance._many(name)

    def _schema(self, plan: Plan[None]) -> Plan[None]:
        """Send the statements of a schema plan through the session's transaction."""
        self.check_usable()
        if self.work.pending:
            yield from self.flush_plan()
        for command in plan:
            yield from self.send(command)

    # --- the end ----------------------------------------------------------------------------------

    def forget(self) -> None:
        """Mark the session closed and let go of its objects; they stay readable."""
        self.closed = True
        work = self.work
        work.new.clear()
        work.changed.clear()
        work.deleted.clear()
        work.collections.clear()
        work.mutables.clear()
        work.undo.clear()
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

    def query_stats(self) -> Any:
        """Return the statistics of the statements of this session, one entry for each shape."""
        return self.tracker.stats()

    def export_query_stats(self, *, reset: bool = False, include_samples: bool = False) -> Any:
        """Return the statistics as plain data."""
        return self.tracker.export(reset=reset, include_samples=include_samples, redactor=Redactor())

    def reset_query_stats(self) -> None:
        """Start the statistics anew."""
        self.tracker.reset()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        engine = getattr(self, "engine", None)  # a traceback may show a session that could not be made
        return f"<{type(self).__name__} {state} at {id(self):#x} on {engine!r}>"
