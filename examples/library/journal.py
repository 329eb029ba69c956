"""Hooks: the library keeps a journal, and writes letters only about what has been committed."""

from __future__ import annotations

from typing import Any

from blaze import hooks
from examples.library.models import JournalEntry, Loan


class Journal:
    """Write a `JournalEntry` for every new loan, and put a letter into `letters` once it is committed.

    `before_commit` fires before the flush, so that it may still add objects to the same transaction. Letters
    wait in `drafts` until `after_commit`; a rollback throws them away. Hooks work for sessions opened later;
    `close()` ends them.
    """

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.drafts: list[str] = []
        self._handles = [
            hooks.register("before_commit", self.write_entries),
            hooks.register("after_save", self.draft_letter, model=Loan),
            hooks.register("after_commit", self.send_letters),
            hooks.register("after_rollback", self.drop_letters),
        ]

    def close(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()

    def write_entries(self, session: Any) -> None:
        """Add a journal entry for each loan that this commit is going to insert."""
        loans = [found for found in session.new if isinstance(found, Loan)]
        for loan in loans:
            session.add(JournalEntry(text=f"{loan.member.name} borrows {loan.book.title}"))

    def draft_letter(self, instance: Loan, created: bool) -> None:
        """Prepare a letter; handlers ask for the arguments that they want, by name."""
        if created:
            self.drafts.append(
                f"Dear {instance.member.name}, please bring {instance.book.title} by {instance.due}."
            )

    def send_letters(self) -> None:
        """Send what has become true."""
        self.letters += self.drafts
        self.drafts.clear()

    def drop_letters(self) -> None:
        """Forget what has not happened."""
        self.drafts.clear()
