"""The second-level cache of a session: rows by key, read before the database and dropped around commits.

Why nothing stale is found, whoever else reads and writes meanwhile:

- A reader looks its keys up, and takes the mark of that moment, before it asks the database; what it read is
  stored with the mark, so not at all if the key was dropped since.
- A writer drops what it wrote, with a hold, right before COMMIT, and again, which ends the hold, after it. So
  nobody finds the old row once COMMIT has been sent, and nobody stores what was read before its outcome.
- Where the outcome is not known, the hold stays until it ends by itself.
- A transaction that has written, or that sees a snapshot, or a connection with an open stream, neither reads
  nor fills the cache: what the session would see there is not what is committed now.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze import plugins
from blaze.cache.guard import guard_of
from blaze.errors import BlazeError, ConfigurationError, ModelError, PluginError
from blaze.persistence.cache_journal import CacheJournal
from blaze.persistence.cache_keys import CachedRows
from blaze.persistence.keys import checked_key
from blaze.persistence.refreshing import read_again
from blaze.persistence.stored import key_before
from blaze.plan import CacheClear, CacheDelete, CacheGet, CacheSet, Plan

if TYPE_CHECKING:
    from blaze.core.codec import ModelCodec
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase
    from blaze.persistence.flush import Flush

# Seconds that written rows stay out of the cache when nobody tells how a commit has ended. A COMMIT that
# takes longer than this may let a reader find the old row, until it is done.
HOLD = 60.0
# Seconds that the generation of a table is kept: longer than any row.
FOREVER = 10 * 365 * 86_400.0
_METHODS = ("get_many", "set_many", "delete_many", "clear", "stats", "close")

Select = Callable[[list[Any]], Generator[Any, Any, Sequence[Any]]]


_named: dict[str, Any] = {}  # caches by their URL: all sessions of a process share one
_naming = threading.Lock()


def cache_of(url: str) -> Any:
    """Return the cache of a URL, the same one for the whole process; its scheme is a name of `blaze.caches`.

    Raises `ConfigurationError` when no such plugin is installed, `PluginError` for a broken one.
    """
    scheme, colon, _ = url.partition("://")
    if not colon:
        raise ConfigurationError(
            "cache_backend= takes a cache, or a URL such as redis://localhost/0; this text has no scheme"
        )
    with _naming:
        found = _named.get(url)
        if found is None:
            name = scheme.lower()
            make = plugins.load("blaze.caches", name)
            try:
                found = make(url)
            except BlazeError:
                raise
            except Exception as error:
                origin = plugins.registry.origin("blaze.caches", name)
                raise PluginError(
                    f"the plugin {name!r} of blaze.caches ({origin}) cannot make a cache:"
                    f" {type(error).__name__}; give the session a cache of your own, or update it"
                ) from error
            _named[url] = found
    return found


class SessionCache:
    """What one session does with a cache backend.

    `journal` is what the open transaction has written, `held` the keys that wait for the outcome of a COMMIT.
    `exact` says that whoever sends writing statements notes their rows; else each statement is read for the
    tables that it names.
    """

    __slots__ = ("backend", "exact", "guard", "held", "holder", "journal", "session")

    def __init__(self, session: SessionBase, backend: Any) -> None:
        if isinstance(backend, str):
            backend = cache_of(backend)
        missing = [name for name in _METHODS if not callable(getattr(backend, name, None))]
        if missing or isinstance(backend, type):
            what = f"has no {', '.join(missing)}" if missing else "is a class; give an object of it"
            raise ConfigurationError(f"cache_backend={backend!r} is no cache backend: it {what}")
        self.session = session
        self.guard = guard_of(backend)
        self.backend = getattr(backend, "aio", backend) if session.asynchronous else backend
        if self.guard.asynchronous and not session.asynchronous:
            raise ConfigurationError(
                f"cache_backend={backend!r} is asynchronous: use AsyncSession, or its synchronous form"
            )
        self.journal = CacheJournal(session.engine.identity)
        self.exact = False
        self.held: list[str] = []
        self.holder = ""

    # --- reading ----------------------------------------------------------------------------------

    def is_open(self) -> bool:
        """Whether what the session reads now is what is committed now."""
        session = self.session
        if session.streams:  # their connection sees what was there when they began
            return False
        transactions = session.transactions
        return not transactions.begun or (not transactions.wrote and self._sees_commits())

    def _sees_commits(self) -> bool:
        """Whether each statement of the open transaction sees what is committed by then."""
        session = self.session
        level = (
            session.transactions.isolation
            or session.default_isolation
            or session.engine.config.get("isolation_level")
            or session.dialect.features.default_isolation
        )
        return str(level).upper() == "READ COMMITTED"

    def rows_of(self, codec: ModelCodec) -> Optional[CachedRows]:
        """Return how rows of a model are cached; None for a view, whose rows change with those of others."""
        if codec.mapper.options.view:
            return None
        memory = codec.dialect.memory
        key = ("cached rows", codec, self.journal.database)
        found: Optional[CachedRows] = memory.get(key)
        if found is None:
            found = memory[key] = CachedRows(codec, self.journal.database)
        return found

    def read(
        self, codec: ModelCodec, keys: Sequence[Any], select: Select, fresh: bool = False
    ) -> Plan[Sequence[Any]]:
        """Return the rows of primary keys: from the cache, else by `select`, which is given the other keys.

        With `fresh` all come from `select`, and replace what the cache has.
        """
        self.session.check_usable()
        layout = self.rows_of(codec) if self.is_open() else None
        if layout is None:
            return (yield from select(list(keys)))
        names = [layout.row_key(key) for key in keys]
        wanted = [layout.token, *[name for name in names if name is not None]]
        found = None
        if len(wanted) > 1:
            found = yield from self._ask(wanted)
        if found is None:
            return (yield from select(list(keys)))
        generation = found.get(layout.token)
        if generation.__class__ is not str:
            generation = None
        rows: list[Any] = []
        missing: list[Any] = []
        for key, name in zip(keys, names):
            value = None if fresh or name is None else found.get(name)
            row = None if value is None or generation is None else layout.thaw(name, value, generation)
            if row is None:
                missing.append(key)
            else:
                rows.append(row)
        if missing:
            read = yield from select(missing)
            yield from self._fill(layout, read, generation, found.mark)
            rows += read
        return rows

    def _ask(self, keys: list[str]) -> Plan[Any]:
        """Look keys up; None when the cache cannot be asked."""
        guard = self.guard
        if guard.is_resting() or (guard.lost and not (yield from self._clear())):
            return None
        try:
            found = yield CacheGet(self.backend, keys)
        except Exception as error:
            guard.failed("look rows up", error)
            return None
        guard.answered()
        return found

    def _fill(
        self, layout: CachedRows, rows: Sequence[Any], generation: Optional[str], mark: Any
    ) -> Plan[None]:
        """Store rows that were read after a mark."""
        new = generation is None
        if generation is None:
            from secrets import token_hex

            generation = token_hex(8)
        values = dict(filter(None, [layout.freeze(row, generation) for row in rows]))
        if not values or self.guard.is_resting():
            return
        try:
            if new:
                yield CacheSet(self.backend, {layout.token: generation}, FOREVER, mark)
            yield CacheSet(self.backend, values, None, mark)
        except Exception as error:
            self.guard.failed("store rows", error)

    # --- writing ----------------------------------------------------------------------------------

    def note_flush(self, flush: Flush, deleted: Any) -> None:
        """Note what a flush has written."""
        self.journal.note_flush(flush, deleted)

    def hold(self) -> Plan[None]:
        """Before COMMIT: drop what was written, and keep it out until the outcome is known."""
        if not self.journal:
            return
        from secrets import token_hex

        if not self.held:  # else a lock has refused the COMMIT before
            self.holder = token_hex(8)
        self.held = self.journal.keys()
        yield from self._drop(self.held, HOLD, self.holder)

    def release(self) -> Plan[None]:
        """After the end of a transaction whose outcome is known: let what it wrote in again."""
        self.journal.clear()
        held, self.held = self.held, []
        if held:  # whether or not the hold arrived: a failure of this is a lost deletion, too
            yield from self._drop(held, 0.0, self.holder)

    def leave_held(self) -> None:
        """After a COMMIT of unknown outcome: the hold ends by itself."""
        self.journal.clear()
        self.held = []

    def invalidate(self, keys: list[str]) -> Plan[None]:
        """Drop keys now."""
        yield from self._drop(keys, 0.0, "")

    def _drop(self, keys: list[str], hold: float, holder: str) -> Plan[None]:
        guard = self.guard
        if guard.is_resting() or (guard.lost and not (yield from self._clear())):
            guard.lose()  # who clears the cache now may have begun before this
            return
        try:
            yield CacheDelete(self.backend, keys, hold, holder)
        except Exception as error:
            guard.failed("drop rows", error)
            guard.lose()
        else:
            guard.answered()

    def _clear(self) -> Plan[bool]:
        """Clear the cache after an invalidation was lost; say whether that went well."""
        guard = self.guard
        losses = guard.losses
        try:
            yield CacheClear(self.backend)
        except Exception as error:
            guard.failed("clear itself after it had failed to drop rows", error)
            return False
        guard.answered()
        guard.cleared(losses)
        return not guard.lost


def invalidate_plan(session: SessionBase, target: Any, keys: tuple[Any, ...]) -> Plan[None]:
    """Drop a row from the cache, given by an object or by model and key, or all rows of a model, and let the
    unchanged objects of them show what is in the database.
    """
    session.check_usable()
    if isinstance(target, type):
        mapper = session.mapper_of(target)
        wanted = [checked_key(mapper, key, {}) for key in keys]
    else:
        found = getattr(type(target), "__mapper__", None)
        if found is None:
            raise ModelError(f"cannot invalidate {target!r}: give a model, a model and a key, or an object")
        mapper = session.mapper_of(found.model)
        wanted = [key_before(mapper, target)]
    if session.cache is not None:
        yield from _drop_rows(session, session.cache, mapper, wanted)
    session.transactions.epoch += 1
    yield from read_again(session, mapper, wanted)


def _drop_rows(session: SessionBase, cache: SessionCache, mapper: Mapper, wanted: list[Any]) -> Plan[None]:
    journals = [CacheJournal(session.engine.identity)]
    if session.transactions.begun:
        journals.append(cache.journal)  # what it has written so far is committed later
    for journal in journals:
        if wanted:
            journal.note_rows(mapper, wanted)
        else:
            journal.note_model(mapper)
    yield from cache.invalidate(journals[0].keys())
