"""Run the tests of one backend against the drivers of this environment: python -m tests.drivers BACKEND [...]

The arguments behind the backend go to pytest. `hatch run drivers:all` does it for the oldest and the newest
drivers.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

DRIVERS = {
    "sqlite": ["aiosqlite"],
    "postgresql": ["psycopg2-binary", "asyncpg"],
    "mysql": ["PyMySQL", "asyncmy"],
    "redis": ["redis", "msgspec"],
    "duckdb": ["duckdb"],
}
TESTS = {
    "sqlite": ["tests/compliance/test_sqlite.py", "tests/backend"],
    "postgresql": ["tests/compliance/test_postgres.py", "tests/servers", "-k", "not mysql"],
    "mysql": ["tests/compliance/test_mysql.py", "tests/servers", "-k", "not postgres"],
    "redis": ["tests/cache_redis"],
    "duckdb": ["examples/third_party"],
}


def main(backend: str, *arguments: str) -> int:
    """Say which drivers are there, and run the tests."""
    print(f"{backend}:", ", ".join(f"{name} {version(name)}" for name in DRIVERS[backend]), flush=True)
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", *TESTS[backend], *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TESTS:
        sys.exit(f"name a backend: {', '.join(TESTS)}")
    sys.exit(main(*sys.argv[1:]))
