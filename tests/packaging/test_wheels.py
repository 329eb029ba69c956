"""The built wheels work in an empty environment, far from the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

PACKAGES = Path(__file__).parents[2] / "packages"
TOUR = Path(__file__).parent / "tour.py"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    target = tmp_path_factory.mktemp("wheels")
    for name in ("blaze-core", "blaze-sqlite"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
        subprocess.run(command, cwd=PACKAGES / name, check=True, capture_output=True)
    return sorted(target.glob("*.whl"))


@pytest.fixture(scope="module")
def run(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install the wheels into an empty environment and give what runs its Python there."""
    folder = tmp_path_factory.mktemp("elsewhere")
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    hidden = ("CI", "PYTHONPATH", "UV_OVERRIDE", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}

    def call(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    call(find_uv_bin(), "venv", "--python", sys.executable, folder / "venv")
    call(find_uv_bin(), "pip", "install", "--python", python, *wheels)
    return lambda *arguments, check=True: call(python, *arguments, check=check)


def test_a_wheel_holds_the_package_its_licence_and_the_type_marker(wheels: list[Path]) -> None:
    for wheel, package in zip(wheels, ("blaze", "blaze_sqlite")):
        names = zipfile.ZipFile(wheel).namelist()
        assert f"{package}/__init__.py" in names
        assert f"{package}/py.typed" in names
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
        assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {package}


@pytest.mark.requirement("R101")
def test_the_wheels_alone_run_a_program_from_end_to_end(run: Run) -> None:
    assert run(TOUR).stdout.split() == ["2", "The", "Dispossessed", "Ursula", "K.", "Le", "Guin"]


def test_a_backend_that_is_not_installed_is_named(run: Run) -> None:
    done = run("-c", "from blaze import Engine; Engine('postgresql://localhost/app')", check=False)
    assert done.returncode == 1
    assert "ConfigurationError" in done.stderr
    assert "pip install blaze-postgres" in done.stderr
