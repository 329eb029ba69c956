"""Capabilities of a database as data; the core asks these and never a backend's name."""

from __future__ import annotations

from typing import Literal, NamedTuple, Optional

__all__ = ["STANDARD_LEXIS", "ArrayParam", "Features", "Lasting", "Lexis"]

ArrayParam = Literal["json_each", "any", "expand"]


class Lexis(NamedTuple):
    """What a database takes for a quote or a comment in SQL text; the defaults are those of the standard."""

    backslash_escapes: bool = False  # a backslash escapes a quote inside of '...' and "..."
    hash_comments: bool = False  # `#` begins a comment
    spaced_dashes: bool = False  # `--` begins a comment only before a space
    nested_comments: bool = False  # /* /* */ */ is one comment
    dollar_quotes: bool = False  # $tag$ ... $tag$
    bracket_names: bool = False  # [name]
    named_marks: bool = False  # :name is a placeholder of the database's own, beside `?`


STANDARD_LEXIS = Lexis()


class Lasting(NamedTuple):
    """What changes a connection beyond the end of a transaction: settings, locks, prepared statements, ..."""

    words: frozenset[str] = frozenset()  # such statements begin with
    calls: frozenset[str] = frozenset()  # of these functions; all in capitals


class Features(NamedTuple):
    """What a database can do; the defaults are those of a modest ANSI database."""

    lexis: Lexis = STANDARD_LEXIS
    lasting: Lasting = Lasting()
    # Statements
    returning: bool = False  # INSERT ... RETURNING
    consecutive_keys: int = 0  # without it: keys of one INSERT of rows go up by this from the last row id on
    update_returning: bool = False
    delete_returning: bool = False
    insert_default_values: bool = True  # INSERT INTO t DEFAULT VALUES
    default_key: str = ""  # what stands in VALUES for a key that the database generates
    on_conflict: bool = False  # ON CONFLICT (columns) DO ...
    conflict_rows: bool = True  # row count and RETURNING of such an INSERT tell which rows it has written
    data_modifying_cte: bool = False
    row_batches: bool = False  # one statement writes many rows, in an order of its own (Dialect.update_batch)
    copy: bool = False  # connections load rows in bulk (Dialect.copy_target, Copying)
    keys_checked_late: bool = False  # foreign keys are checked and followed when a statement ends, not by row
    max_bind_params: int = 999
    max_values_length: int = 4_000_000  # about the most characters of long values that one INSERT should hold
    array_param: ArrayParam = "expand"  # how an IN list is bound
    row_values: bool = True  # (a, b) < (1, 2)
    row_value_in: bool = True  # (a, b) IN ((1, 2), ...)
    boolean_literals: bool = True  # TRUE/FALSE, and a condition is a value
    # Queries
    recursive_cte: bool = True
    window_functions: bool = True
    window_frames_exclude: bool = False
    filter_clause: bool = True  # count(*) FILTER (WHERE ...)
    grouping_sets: bool = False
    lateral: bool = False
    right_join: bool = True
    full_join: bool = True
    intersect_except: bool = True
    nulls_order: bool = True  # NULLS FIRST / NULLS LAST
    distinct_on: bool = False
    for_update: bool = False
    for_share: bool = False
    skip_locked: bool = False
    nowait: bool = False
    for_update_of: bool = False
    offset_needs_limit: bool = False
    unlimited_limit: Optional[str] = None  # what to write for "no limit" where OFFSET needs one
    json_paths: bool = False
    # Transactions
    savepoints: bool = True
    lone_statements: bool = False  # a commit of one statement sends that alone: it saves round trips
    joined_savepoints: bool = False  # savepoint() and release() take `joined`: see blaze.plan.Savepoint
    transactional_ddl: bool = False
    begin_on_read: bool = True  # a read must run inside BEGIN to be part of the session's transaction
    read_only_transactions: bool = True
    isolation_levels: tuple[str, ...] = (
        "READ UNCOMMITTED",
        "READ COMMITTED",
        "REPEATABLE READ",
        "SERIALIZABLE",
    )
    default_isolation: str = "READ COMMITTED"
    # Schema
    schemas: bool = True
    cuts_names: bool = False  # a name in SQL text that is too long is cut, and the statement runs
    comments: bool = False
    identity_declares_key: bool = False  # `identity_ddl` already says PRIMARY KEY
    generated_columns: bool = True
    generated_not_null: bool = True  # a generated column may say NOT NULL
    check_constraints: bool = True
    constraint_names: bool = True  # errors tell the name of the constraint that refused, and its columns
    foreign_keys: bool = True  # without, tables have none, and deleting what is still referred to is refused
    deferrable_constraints: bool = False
    update_rules_beside_checks: bool = True  # ON UPDATE CASCADE for a column that a CHECK or a formula names
    defer_foreign_keys: Optional[str] = None  # what puts the check of every foreign key off until COMMIT
    add_constraint: bool = True
    drop_column: bool = True
    rename_column: bool = True
    partial_indexes: bool = False
    expression_indexes: bool = False
    # Types
    native_interval: bool = False
    # Drivers
    stream_in_transaction: bool = False  # the cursor of a stream lives in a transaction
    streams_outlive_commit: bool = True  # a stream goes on where its transaction is committed
