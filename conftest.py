"""Load the plugins of the test run and collect the code blocks of the documentation."""

from __future__ import annotations

import asyncio
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_plugins = ["tests.support.requirements", "tests.support.skips"]


def enter_folder(namespace: dict[str, Any]) -> None:
    folder = tempfile.TemporaryDirectory(prefix="blaze-docs-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            loop = asyncio.get_event_loop_policy().get_event_loop()
        except RuntimeError:
            loop = None
    namespace["__folder__"] = (folder, Path.cwd(), loop)
    os.chdir(folder.name)


def leave_folder(namespace: dict[str, Any]) -> None:
    folder, before, loop = namespace["__folder__"]
    asyncio.set_event_loop(loop)  # `asyncio.run` in a block has dropped the one of pytest-asyncio, unclosed
    os.chdir(before)
    folder.cleanup()


# The blocks of one page run in order, in one namespace and in an empty folder.
pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/**/*.md", "docs/*.md"],
    setup=enter_folder,
    teardown=leave_folder,
).pytest()
