"""The flights demo: a small run on every test run, the whole data when there is time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from blaze import Engine, Session, create_all
from examples.flights.models import MODELS, Airline

ROOT = Path(__file__).parents[2]


def run_demo(*arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the demo as a user does; a wide terminal keeps its lines whole."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "COLUMNS": "160", "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "examples.flights", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
        check=False,
    )


def statements(output: str, chapter: str) -> int:
    """Read how many statements a chapter took."""
    match = re.search(rf"{re.escape(chapter)}.*?-> (\d+) statements", output, re.DOTALL)
    assert match is not None, output
    return int(match[1])


@pytest.mark.requirement("R102", "R59", "R71", "R95")
def test_the_demo_tells_its_story_on_2000_flights(database_url: str) -> None:
    run = run_demo("--rows", "2000", "--dsn", database_url)
    assert run.returncode == 0, run.stderr + run.stdout
    output = run.stdout
    assert "2000/2000" in output
    assert "2,000 flights, 12 cancelled, 1,678 by a plane that the data describes" in output
    assert "refused and rolled back to the savepoint: CheckError" in output
    assert "the altitude of Newark is 19 again" in output
    assert "committed Blaze Air; now it is deleted" in output
    assert "Statistics" in output
    assert re.search(r"Total [\d.]+ s, peak memory \d+ MB", output)
    assert statements(output, "Nested eager loading") == 3
    assert statements(output, "A lazy loop") <= 3


def test_the_demo_refuses_a_database_that_holds_flights(database_url: str) -> None:
    assert run_demo("--rows", "10", "--dsn", database_url).returncode == 0
    second = run_demo("--rows", "10", "--dsn", database_url)
    assert second.returncode == 1
    assert "holds flights already" in second.stderr


def test_the_demo_refuses_a_database_that_was_loaded_in_part(database_url: str) -> None:
    with Engine(database_url) as engine:
        create_all(engine, MODELS)
        with Session(engine) as session:
            session.add(Airline(carrier="BZ", name="Blaze Air"))
            session.commit()
    run = run_demo("--rows", "10", "--dsn", database_url)
    assert run.returncode == 1
    assert "holds flights already" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("dsn", "message"),
    [
        ("flights.db", "the DSN cannot be read"),
        ("oracle://ada:hidden@host/flights", "no backend for oracle://"),
        ("sqlite:///no/such/folder/flights.db", "the folder .* does not exist"),
        ("sqlite://?jornal_mode=wal", "no connection option 'jornal_mode'"),
    ],
)
def test_a_wrong_dsn_is_told_in_one_line(dsn: str, message: str) -> None:
    run = run_demo("--rows", "10", "--dsn", dsn)
    assert run.returncode == 1
    assert re.fullmatch(rf"\s*Error: .*{message}.*\n", run.stderr)
    assert "hidden" not in run.stderr


@pytest.mark.long
def test_the_whole_demo_stays_within_60_seconds_and_400_mb(database_url: str) -> None:
    start = time.perf_counter()
    run = run_demo("--dsn", database_url, seconds=300)
    assert run.returncode == 0, run.stderr
    assert time.perf_counter() - start < 60
    memory = re.search(r"peak memory (\d+) MB", run.stdout)
    assert memory is not None
    assert int(memory[1]) < 400
    assert "336776/336776" in run.stdout
    assert "336,776 flights, 8,255 cancelled, 284,170 by a plane that the data describes" in run.stdout
