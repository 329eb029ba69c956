"""Load the plugins of the test run and collect the code blocks of the documentation."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_plugins = ["tests.support.requirements", "tests.support.skips"]


def enter_folder(namespace: dict[str, Any]) -> None:
    folder = tempfile.TemporaryDirectory(prefix="blaze-docs-")
    namespace["__folder__"] = (folder, Path.cwd())
    os.chdir(folder.name)


def leave_folder(namespace: dict[str, Any]) -> None:
    folder, before = namespace["__folder__"]
    os.chdir(before)
    folder.cleanup()


# The blocks of one page run in order, in one namespace and in an empty folder.
pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/**/*.md", "docs/*.md"],
    setup=enter_folder,
    teardown=leave_folder,
).pytest()
