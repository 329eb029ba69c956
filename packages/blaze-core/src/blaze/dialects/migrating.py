"""What a dialect tells the migration engine: how to keep other runners out, and how to rebuild a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional, Protocol

if TYPE_CHECKING:
    from blaze.dialects.changes import TableChange
    from blaze.plan import Plan

__all__ = ["MigrationLock", "Rebuilder"]


class MigrationLock(NamedTuple):
    """How one runner keeps the others out.

    `acquire` is a query without parameters whose value is true where the lock was got; it does not wait, or
    not for long. None means that the transaction itself locks, begun in `isolation`. `release` gives back a
    lock that does not end with the transaction; closing the connection does it, too.
    """

    acquire: Optional[str] = None
    release: Optional[str] = None
    isolation: Optional[str] = None


class Rebuilder(Protocol):
    """Make tables anew with a change in them, for one migration on one connection, by plans.

    `start` and `finish` run outside of the transaction, `change` and `check` inside; without a transaction
    around the migration, each change has its own. After an error the connection is not used again.
    """

    def start(self) -> Plan[None]:
        """Prepare the connection."""
        ...

    def change(self, table: str, change: TableChange) -> Plan[None]:
        """Carry a change out; `table` is the bare name."""
        ...

    def check(self) -> Plan[None]:
        """Raise `IntegrityError` where the changes have left rows that refer to nothing."""
        ...

    def finish(self) -> Plan[None]:
        """Put the connection back into its former state."""
        ...
