"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, so that a run tells about a change; the long tests look for new ones.
settings.register_profile("blaze", derandomize=True, deadline=None)
settings.load_profile("blaze")


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Give the DSN of an SQLite file that does not exist yet and belongs to this test alone."""
    return f"sqlite:///{tmp_path / 'test.db'}"
