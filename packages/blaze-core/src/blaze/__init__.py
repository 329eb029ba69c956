"""Blaze: a typed data layer, the same code sync and async."""

from typing import TYPE_CHECKING, Any

from blaze import hooks
from blaze.adapters.config import ConnectionConfig
from blaze.core.constraints import Check, Index, Unique
from blaze.core.fields import Field, field, foreign_key, key_column, many_to_many, one_to_many, one_to_one
from blaze.core.related_list import RelatedList
from blaze.core.relation_types import ForeignKey, ManyToMany, OneToMany, OneToOne
from blaze.engine import Engine
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
from blaze.persistence.manager import SessionManager
from blaze.persistence.results import AsyncQueryResult, QueryResult, Result
from blaze.persistence.session import Session
from blaze.query.aliases import alias
from blaze.query.dml import Delete, Insert, Update
from blaze.query.manager import Manager, Model
from blaze.query.paging import Page
from blaze.query.q import Q
from blaze.query.query_set import AsyncQuerySet, QuerySet
from blaze.query.row import Row
from blaze.query.select import Select
from blaze.schema.builder import SchemaBuilder
from blaze.schema.create import acreate_all, adrop_all, create_all, drop_all
from blaze.sql.columns import Column
from blaze.sql.derived import CTE, Derived
from blaze.sql.expressions import Expression
from blaze.sql.functions import case, cast, excluded, exists, func, literal, row
from blaze.sql.raw import sql

# asyncio would be a third of what importing Blaze costs, and a blocking program never needs it.
if TYPE_CHECKING:
    from blaze.persistence.async_session import AsyncSession
else:

    def __getattr__(name: str) -> Any:
        """Import `AsyncSession` on first use."""
        if name != "AsyncSession":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from blaze.persistence.async_session import AsyncSession

        return globals().setdefault(name, AsyncSession)

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
