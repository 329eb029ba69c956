"""Blaze: a typed data layer, the same code sync and async."""

from typing import TYPE_CHECKING, Any

from blaze.core.constraints import Check, Index, Unique
from blaze.core.fields import Field, field, foreign_key, key_column, many_to_many, one_to_many, one_to_one
from blaze.core.parts import Part
from blaze.core.related_list import RelatedList
from blaze.core.relation_types import ForeignKey, ManyToMany, OneToMany, OneToOne
from blaze.errors import (
    BlazeError,
    CapabilityError,
    CheckError,
    CommitOutcomeUnknownError,
    ConfigurationError,
    ConnectionLostError,
    DatabaseError,
    DataError,
    DeadlockError,
    ForeignKeyError,
    IntegrityError,
    MigrationError,
    ModelError,
    MultipleResultsError,
    NoResultError,
    NoSessionError,
    NotLoadedError,
    NotNullError,
    PluginError,
    PoolTimeoutError,
    QueryError,
    SerializationError,
    SessionError,
    SQLSyntaxError,
    StaleDataError,
    TimeoutError,
    UncommittedChangesWarning,
    UniqueError,
    ValidationError,
)
from blaze.query.manager import Manager, Model
from blaze.sql.raw import sql

# Declaring models takes a third of the house; the rest (sessions, queries, schemas) comes with its first use.
# `sql` stays here: the package blaze.sql would hide it.
if TYPE_CHECKING:
    from blaze import hooks
    from blaze.adapters.config import ConnectionConfig
    from blaze.cache.memory import MemoryCache
    from blaze.engine import Engine
    from blaze.persistence.async_session import AsyncSession
    from blaze.persistence.manager import SessionManager
    from blaze.persistence.results import AsyncQueryResult, QueryResult, Result
    from blaze.persistence.session import Session
    from blaze.query.aliases import alias
    from blaze.query.dml import Delete, Insert, Update
    from blaze.query.paging import Page
    from blaze.query.q import Q
    from blaze.query.query_set import AsyncQuerySet, QuerySet
    from blaze.query.row import Row
    from blaze.query.select import Select
    from blaze.schema.builder import SchemaBuilder
    from blaze.schema.create import acreate_all, adrop_all, create_all, drop_all
    from blaze.schema.migrate import MigrationEngine
    from blaze.schema.migration import Migration
    from blaze.sql.columns import Column
    from blaze.sql.derived import CTE, Derived
    from blaze.sql.expressions import Expression
    from blaze.sql.functions import case, cast, excluded, exists, func, literal, row
else:
    _LATE = {
        "hooks": "blaze.plugins",  # which tells the hooks of installed plugins
        "ConnectionConfig": "blaze.adapters.config",
        "MemoryCache": "blaze.cache.memory",
        "Engine": "blaze.engine",
        "AsyncSession": "blaze.persistence.async_session",
        "SessionManager": "blaze.persistence.manager",
        "AsyncQueryResult": "blaze.persistence.results",
        "QueryResult": "blaze.persistence.results",
        "Result": "blaze.persistence.results",
        "Session": "blaze.persistence.session",
        "alias": "blaze.query.aliases",
        "Delete": "blaze.query.dml",
        "Insert": "blaze.query.dml",
        "Update": "blaze.query.dml",
        "Page": "blaze.query.paging",
        "Q": "blaze.query.q",
        "AsyncQuerySet": "blaze.query.query_set",
        "QuerySet": "blaze.query.query_set",
        "Row": "blaze.query.row",
        "Select": "blaze.query.select",
        "SchemaBuilder": "blaze.schema.builder",
        "acreate_all": "blaze.schema.create",
        "adrop_all": "blaze.schema.create",
        "create_all": "blaze.schema.create",
        "drop_all": "blaze.schema.create",
        "MigrationEngine": "blaze.schema.migrate",
        "Migration": "blaze.schema.migration",
        "Column": "blaze.sql.columns",
        "CTE": "blaze.sql.derived",
        "Derived": "blaze.sql.derived",
        "Expression": "blaze.sql.expressions",
        "case": "blaze.sql.functions",
        "cast": "blaze.sql.functions",
        "excluded": "blaze.sql.functions",
        "exists": "blaze.sql.functions",
        "func": "blaze.sql.functions",
        "literal": "blaze.sql.functions",
        "row": "blaze.sql.functions",
    }

    def __getattr__(name: str) -> Any:
        """Import on first use what many programs do without."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return globals().setdefault(name, getattr(import_module(_LATE[name]), name))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "CTE",
    "AsyncQueryResult",
    "AsyncQuerySet",
    "AsyncSession",
    "BlazeError",
    "CapabilityError",
    "Check",
    "CheckError",
    "Column",
    "CommitOutcomeUnknownError",
    "ConfigurationError",
    "ConnectionConfig",
    "ConnectionLostError",
    "DataError",
    "DatabaseError",
    "DeadlockError",
    "Delete",
    "Derived",
    "Engine",
    "Expression",
    "Field",
    "ForeignKey",
    "ForeignKeyError",
    "Index",
    "Insert",
    "IntegrityError",
    "Manager",
    "ManyToMany",
    "MemoryCache",
    "Migration",
    "MigrationEngine",
    "MigrationError",
    "Model",
    "ModelError",
    "MultipleResultsError",
    "NoResultError",
    "NoSessionError",
    "NotLoadedError",
    "NotNullError",
    "OneToMany",
    "OneToOne",
    "Page",
    "Part",
    "PluginError",
    "PoolTimeoutError",
    "Q",
    "QueryError",
    "QueryResult",
    "QuerySet",
    "RelatedList",
    "Result",
    "Row",
    "SQLSyntaxError",
    "SchemaBuilder",
    "Select",
    "SerializationError",
    "Session",
    "SessionError",
    "SessionManager",
    "StaleDataError",
    "TimeoutError",
    "UncommittedChangesWarning",
    "Unique",
    "UniqueError",
    "Update",
    "ValidationError",
    "acreate_all",
    "adrop_all",
    "alias",
    "case",
    "cast",
    "create_all",
    "drop_all",
    "excluded",
    "exists",
    "field",
    "foreign_key",
    "func",
    "hooks",
    "key_column",
    "literal",
    "many_to_many",
    "one_to_many",
    "one_to_one",
    "row",
    "sql",
]

__version__ = "0.1.0"
