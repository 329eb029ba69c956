"""The backend of docs/writing-a-backend.md, as the page gives it, passes what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-backend.md"
BLOCK = re.compile(r"(<!--- skip: next -->\n\n)?```python\n(.*?)```", re.DOTALL)
END = 'plugins.registry.unregister("blaze.backends", "quack")\n'  # so that the page leaves nothing behind
# The page says that these fail.
BUT = "not test_json_documents_are_equal_in_any_order and not test_a_stream_is_read_bit_by_bit"
CASES: list[Any] = [("insert", 25)]
if not duckdb.__version__.startswith("1."):  # with which more cases fail, as the page says
    CASES.append(pytest.param("sync", 800, marks=pytest.mark.long))


@pytest.mark.requirement("R90")
@pytest.mark.parametrize(("cases", "least"), CASES)
def test_the_backend_of_the_page_passes_the_suite(tmp_path: Path, cases: str, least: int) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    backend = "\n".join(text for skipped, text in blocks if not skipped)
    (suite,) = [text for skipped, text in blocks if skipped]
    assert END in backend
    (tmp_path / "quack_backend.py").write_text(backend.replace(END, ""), encoding="utf-8")
    (tmp_path / "test_compliance.py").write_text(f"import quack_backend\n{suite}", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    arguments = ["-q", "-p", "no:cacheprovider", "--tb=short", "-k", f"{cases} and not async and {BUT}", "."]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-1_000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > least
