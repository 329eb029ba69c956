"""Capabilities of a database as data; the core asks these and never a backend's name."""

from __future__ import annotations

from typing import Literal, NamedTuple, Optional

__all__ = ["ArrayParam", "Features"]

ArrayParam = Literal["json_each", "any", "expand"]


class Features(NamedTuple):
    """What a database can do; the defaults are those of a modest ANSI database."""

    # Statements
    returning: bool = False  # INSERT/UPDATE/DELETE ... RETURNING
    insert_returning_multi: bool = False  # one multi-row INSERT gives all its rows back, in any order
    insert_returning_ordered: bool = False  # ... and in the order of the VALUES
    insert_default_values: bool = True  # INSERT INTO t DEFAULT VALUES
    default_keyword: bool = True  # DEFAULT as an item of VALUES
    on_conflict: bool = False  # ON CONFLICT (columns) DO ...
    on_duplicate_key: bool = False  # ON DUPLICATE KEY UPDATE
    update_from: bool = False  # UPDATE t SET ... FROM other
    delete_using: bool = False  # DELETE FROM t USING other
    data_modifying_cte: bool = False
    max_bind_params: int = 999
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
    nulls_sort_first: bool = False  # where NULLs come in an ascending order that does not say
    distinct_on: bool = False
    for_update: bool = False
    for_share: bool = False
    skip_locked: bool = False
    nowait: bool = False
    for_update_of: bool = False
    offset_needs_limit: bool = False
    unlimited_limit: Optional[str] = None  # what to write for "no limit" where OFFSET needs one
    ilike: bool = False
    json_paths: bool = False
    full_text: bool = False
    # Transactions
    savepoints: bool = True
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
    error_aborts_transaction: bool = False  # after any error only ROLLBACK (TO) is accepted
    advisory_locks: bool = False
    listen_notify: bool = False
    # Schema
    schemas: bool = True
    comments: bool = False
    identity_declares_key: bool = False  # `identity_ddl` already says PRIMARY KEY
    generated_columns: bool = True
    check_constraints: bool = True
    deferrable_constraints: bool = False
    defer_foreign_keys: Optional[str] = None  # what puts the check of every foreign key off until COMMIT
    alter_column: bool = True
    add_constraint: bool = True
    drop_column: bool = True
    rename_column: bool = True
    partial_indexes: bool = False
    expression_indexes: bool = False
    concurrent_indexes: bool = False
    materialized_views: bool = False
    # Types
    native_boolean: bool = True
    native_decimal: bool = True
    native_uuid: bool = False
    native_json: bool = False
    native_array: bool = False
    native_interval: bool = False
    native_enum: bool = False
    native_timezone: bool = False  # keeps the moment of an aware datetime by itself
    # Drivers
    lastrowid: bool = False  # the driver tells the key of the last inserted row
    streaming: bool = True
