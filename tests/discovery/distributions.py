"""Install distributions into a folder, as pip does: modules, and a dist-info with entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any


class Site:
    """A folder of installed distributions, put before the others of this Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self, name: str, entry_points: Mapping[str, Mapping[str, str]], version: str = "1.0", **modules: str
    ) -> None:
        """Install a distribution with entry points by group and name, and modules by name."""
        for module, text in modules.items():
            (self.folder / f"{module}.py").write_text(dedent(text))
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
            for group, points in entry_points.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(lines))

    def run(self, script: str, **environment: str) -> Any:
        """Run a script in a new interpreter that has these distributions; give the JSON that it prints."""
        path = os.pathsep.join([str(self.folder), *[each for each in sys.path if each]])
        done = subprocess.run(
            [sys.executable, "-c", dedent(script)],
            env={**os.environ, **environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
