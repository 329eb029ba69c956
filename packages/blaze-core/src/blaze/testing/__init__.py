"""Helpers for tests of code that uses Blaze."""

from blaze.testing.counting import StatementCount, count_statements

__all__ = ["StatementCount", "count_statements"]
