"""The pages about servers run as written, against a server of the tests."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = Path(__file__).parents[2] / "docs" / "postgresql.md"


def test_postgresql(postgres: str) -> None:
    blocks = _BLOCK.findall(PAGE.read_text())
    assert len(blocks) == 4
    source = "\n".join(blocks).replace("postgresql://app:secret@db/app", postgres)
    exec(compile(source, str(PAGE), "exec"), {"__name__": "docs"})
