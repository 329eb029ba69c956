"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Give the DSN of an SQLite file that does not exist yet and belongs to this test alone."""
    return f"sqlite:///{tmp_path / 'test.db'}"
