"""What both sessions share: their state, their plans, and everything that needs no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Optional, Union

from blaze.core.context import LoadContext
from blaze.core.detached import COPIED, DETACHED, ROLLED_BACK
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
from blaze.persistence.copies import forget_copied
from blaze.persistence.counting import count_plan, narrowed
from blaze.persistence.counts import row_count
from blaze.persistence.flush import Flush
from blaze.persistence.identity_map import IdentityMap
from blaze.persistence.stored import key_before
from blaze.persistence.transaction import TransactionManager
from blaze.persistence.unit_of_work import UnitOfWork, leave
from blaze.plan import Plan, Release, Savepoint, fire
from blaze.query.compilation import Compilation
from blaze.query.looking_up import paths_to
from blaze.query.root import Root, root_of
from blaze.security import Secret
from blaze.security.redaction import redactor
from blaze.sql.values import INTEGER
from blaze.utils.naming import suggest
from blaze.utils.tracker import QueryTracker

if TYPE_CHECKING:
    from blaze.adapters.config import ConnectionConfig
    from blaze.cache.backend import AsyncCacheBackend, CacheBackend
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.caching import SessionCache
    from blaze.utils.logging import StatementLog

_LAZY = (None, "batch", "raise")
MISSING: Any = object()


def refuse_flags(**flags: Any) -> NoReturn:
    """Raise `ConfigurationError` for the first argument of a session that is neither True nor False."""
    name, value = next((n, v) for n, v in flags.items() if not isinstance(v, bool))
    raise ConfigurationError(f"{name} is True or False, not a {type(value).__name__} ({value!r})")


def never_entered() -> SessionError:
    """Return the error for leaving a session that no `with` entered."""
    return SessionError("the session was left without having been entered; use it in a `with` block")


class SessionBase:
    """State and plans of a session; the two sessions drive the plans."""

    asynchronous = False

    # Defaults on the class keep the making of a session short.
    closed = False
    connection: Any = None
    own_engine = False
    default_isolation: Optional[str] = None
    flushing = False
    telling = False  # whether handlers of before_execute or after_execute are running
    streams: Any = ()  # open ones, which read from the connection
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
        cache_backend: Union[CacheBackend, AsyncCacheBackend, None] = None,
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

    def _statement_log(self, slow_query_ms: Optional[float]) -> StatementLog:
        """Return the log of slow statements; the default one is made once for each engine."""
        memory = self.dialect.memory
        found: Optional[StatementLog] = memory.get("statement log") if slow_query_ms is None else None
        if found is not None:
            return found
        from blaze.utils.logging import StatementLog  # logging comes with the first session

        made = StatementLog(slow_query_ms, redactor)
        if slow_query_ms is None:
            memory["statement log"] = made
        return made

    def observe(self, command: Any, seconds: float, result: Any) -> int:
        """Note an executed statement in statistics and logs; return how many rows it read or wrote."""
        rows = row_count(result)
        self.tracker.record(command.sql, seconds, rows, command.first_params)
        log = self.log
        if seconds >= log.slow_seconds:
            log.slow(command.sql, seconds, rows, command.first_params, None, self.correlation_id)
        if log.is_verbose():
            log.statement(command.sql, seconds, rows, command.first_params, None, self.correlation_id)
        return rows

    def observe_failure(self, command: Any, seconds: float, error: BaseException) -> None:
        """Note a statement that failed in the logs: what runs into a time limit is the slowest of all."""
        log = self.log
        if seconds >= log.slow_seconds:
            log.slow(command.sql, seconds, None, command.first_params, error, self.correlation_id)
        if log.is_verbose():
            log.statement(command.sql, seconds, None, command.first_params, error, self.correlation_id)

    @property
    def correlation_id(self) -> str:
        """The id that the log records of this session carry outside of a `with correlation()` block."""
        found = self.__dict__.get("_correlation_id")
        if found is None:
            from blaze.utils.logging import new_id

            found = self._correlation_id = new_id()
        return str(found)

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
        """Raise `SessionError` when the session was closed, or the connection lost, before a stream had
        ended.
        """
        if self.closed:
            raise SessionError("the session was closed before the stream had ended: read it inside its block")
        if not connection.usable:
            raise SessionError(
                "the connection of the stream is lost, or belongs to the parent of this forked process; "
                "open a new session and begin the stream anew"
            )

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
        if self.cache is not None and not self.cache.exact:
            self.cache.journal.note_statement(command.sql)
        result = yield command
        transactions.wrote = True
        transactions.epoch += 1
        if not self.flushing and not self.dialect.features.transactional_ddl:
            yield from transactions.see_implicit_commit()
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
        begun, wrote = transactions.begun, transactions.wrote
        guarded = begun and self.dialect.features.savepoints
        flush = Flush(self)
        running = False
        try:
            self.flushing = True
            if guarded:
                yield Savepoint("blaze_flush")
            running = True
            yield from flush.run()
            if guarded:
                yield Release("blaze_flush")
            self.flushing = False
        except BaseException as error:  # no `finally`: an interrupt at its only line would leave the flag set
            self.flushing = False
            if running and not flush.finished:
                transactions.wrote = wrote
                yield from transactions.take_back(begun, error, "blaze_flush")
            raise

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
            mapper.require_table()
        context = instance._ctx_
        work = self.work
        again = context is ROLLED_BACK
        if context is not None and context.session is not self:
            self.require_own(instance)
            if mapper.is_new(instance):
                for attribute in mapper.columns:
                    getattr(instance, attribute.name)  # only that session decodes it; a copy may miss it
            if context is COPIED:
                forget_copied(mapper, instance)
            context = None
        if context is not None:
            if mapper.is_new(instance):
                work.new[id(instance)] = instance
            return
        if mapper.is_new(instance):
            instance._ctx_ = self.pending_context
            work.new[id(instance)] = instance
            for relation in mapper.key_relations:
                if relation.inverse is not None and relation.peek(instance) is UNSET:  # given by key
                    relation.inverse.note_member(relation.known(instance), instance)
        else:
            self._attach(mapper, instance)
        if instance._extra_:
            self._adopt_lists(instance)
        if again:
            self._show_again(mapper, instance)

    def _adopt_lists(self, instance: Any) -> None:
        """Track the lists of an object that was taken in, and take in the new objects that they hold."""
        work = self.work
        waiting = [instance]
        for owner in waiting:
            relations = type(owner).__mapper__.relations
            for name in owner._extra_ or ():
                relation = relations.get(name)
                if relation is None or not relation.many:
                    continue
                found = relation.collection(owner)
                work.collections[id(found)] = found
                if relation.target.options.view:
                    continue  # the flush says that it is read-only
                for item in found.pending():
                    if item._ctx_ is None and relation.target.is_new(item):
                        item._ctx_ = self.pending_context
                        work.new[id(item)] = item
                        waiting.append(item)

    def require_own(self, instance: Any) -> None:
        """Raise `SessionError` for an object that another open session holds."""
        context = instance._ctx_
        if context is not None and context.session is not self and not context.session.closed:
            raise SessionError(
                f"this {type(instance).__mapper__.name} belongs to another session, {context.session!r}; "
                "merge() it, or expunge() it there"
            )

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
                f"the session holds another {mapper.name} with the key {mapper.shown_key(key)}; "
                "merge() this one into it"
            )
        mapper.set_context(instance, LoadContext(self, (instance,)))
        objects[key] = instance
        if not mapper.is_clean(instance):
            self.work.changed[id(instance)] = instance
        if mapper.mutable_indexes:
            self.work.mutables[id(instance)] = instance

    def register(self, instance: Any) -> None:
        """Do the work of `add`."""
        if self.closed or self.transactions.broken is not None:
            self.check_usable()
        mapper = getattr(type(instance), "__mapper__", None)
        if mapper is not None:
            for relation in mapper.relations.values():
                if relation.owns_key:
                    related = relation.peek(instance)
                    if related is not None and related is not UNSET:
                        self.require_own(related)
        self.adopt(instance)
        if self.work.deleted:
            self.work.deleted.pop(id(instance), None)

    def register_delete(self, instance: Any) -> None:
        """Do the work of `delete`."""
        if self.closed or self.transactions.broken is not None:
            self.check_usable()
        mapper = getattr(type(instance), "__mapper__", None)
        if mapper is None:
            raise ModelError(f"cannot delete {type(instance).__name__}: it is not an instance of a model")
        work = self.work
        if type(instance)._tracked_ and instance._ctx_.session is self and not mapper.options.view:
            work.deleted[id(instance)] = instance
            return
        if mapper.is_new(instance):
            if work.new.pop(id(instance), None) is None:
                raise SessionError(f"cannot delete this {mapper.name}: it was never saved")
            for changed_list in work.collections.values():
                changed_list.forget(instance)  # else the next flush would save it with the list
            mapper.make_new(instance)
            return
        self.adopt(instance)
        work.deleted[id(instance)] = instance

    def expunge(self, instance: Any) -> None:
        """Take an object out of the session: it stays readable and is no longer tracked.

        A new one leaves the lists that would bring it in again. Other objects are left alone.
        """
        mapper = self.held(instance)
        work = self.work
        identity = id(instance)
        for register in (work.new, work.changed, work.deleted, work.mutables):
            register.pop(identity, None)
        for changed_list in list(work.collections.values()):
            if changed_list.owner is instance:
                del work.collections[id(changed_list)]
            elif mapper.is_new(instance):
                changed_list.forget(instance)
        if not mapper.is_new(instance):
            for index in mapper.mutable_indexes:
                getattr(instance, mapper.columns[index].name)  # the session decodes what nobody else can
            work.mutables.pop(identity, None)
            key = key_before(mapper, instance)
            leave(self.identity[mapper.model], key, instance)
            work.note_expunge(mapper, instance, key)
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

    def lazy_of(self, instance: Any) -> str:
        """Return what lazy access to an object does: the word of its query, the session's, the model's."""
        found = instance._ctx_.lazy or self.lazy or type(instance).__mapper__.options.lazy
        return found or "batch"

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
            raise QueryError(
                f"the key of {mapper.name} is a tuple ({', '.join(names)}), not a {type(key).__name__}"
            )
        for attribute, value in zip(pk, values):
            problem = attribute.type.check(value) if value is not None else "None is no key"
            if problem is not None:
                problem = redactor.problem(attribute.name, value, problem)
                raise QueryError(f"{mapper.name}: the key {attribute.name!r} does not fit: {problem}")
        return tuple(key) if len(pk) > 1 else key

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
        work = self.work
        if work.undo:  # a rollback was interrupted
            work.undo_to(0)
        self.closed = True
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
        return self.tracker.export(reset=reset, include_samples=include_samples, redactor=redactor)

    def reset_query_stats(self) -> None:
        """Start the statistics anew."""
        self.tracker.reset()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        engine = getattr(self, "engine", None)  # a traceback may show a session that could not be made
        return f"<{type(self).__name__} {state} at {id(self):#x} on {engine!r}>"
