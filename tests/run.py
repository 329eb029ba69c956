"""Run the checks of the repository: python -m tests.run [step ...]

Without step names all of them run, in this order, whatever fails before; the exit code is 1 if one failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

STEPS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "mypy": ["mypy"],
    "pyright": ["pyright"],
    "typing": ["pytest", "tests/typing"],
    "requirements": ["pytest", "-p", "no:xdist", "--requirements=report"],
    "pytest": ["pytest", "-n", "3", "--dist", "loadfile", "--ignore=tests/typing"],
}


def run(steps: list[str]) -> bool:
    """Run the named steps and print how long each took; tell whether all succeeded."""
    results: list[tuple[str, int, float]] = []
    for name in steps:
        print(f"\n$ {' '.join(STEPS[name])}", flush=True)
        start = time.perf_counter()
        code = subprocess.run([sys.executable, "-m", *STEPS[name]], check=False).returncode
        results.append((name, code, time.perf_counter() - start))
    print()
    for name, code, seconds in results:
        print(f"{name:>12} {'ok' if code == 0 else 'FAILED':<6} {seconds:6.1f} s")
    return all(code == 0 for _, code, _ in results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", nargs="*", metavar="step", help=", ".join(STEPS))
    options = parser.parse_args()
    if unknown := set(options.steps) - set(STEPS):
        parser.error(f"no such step: {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    sys.exit(0 if run(options.steps or list(STEPS)) else 1)
