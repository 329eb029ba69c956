"""What the demo prints: headings, tables, where the time went, and how much memory it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Optional

from rich.console import Console
from rich.table import Table

console = Console(highlight=False)


class Stopwatch:
    """Add up seconds by name, in the order in which the names first appeared."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the time of the block under `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def heading(text: str) -> None:
    """Print the title of a chapter."""
    console.print()
    console.rule(f"[bold]{text}", align="left")


def say(text: str) -> None:
    """Print a line of explanation."""
    console.print(text, markup=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows; numbers on the right, None as a dash; what is too wide is cut in the widest column."""
    cells = [list(row) for row in rows]
    texts = [[_text(cell) for cell in row] for row in cells]
    widths = [max(map(len, (name, *(row[i] for row in texts)))) for i, name in enumerate(columns)]
    widest = widths.index(max(widths))
    gaps = 2 * (len(columns) - 1)
    widths[widest] = max(min(widths[widest], console.width - gaps - sum(widths) + widths[widest]), 8)
    view = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, (column, width) in enumerate(zip(columns, widths)):
        numeric = any(isinstance(row[index], (int, float)) for row in cells)
        view.add_column(
            column,
            justify="right" if numeric else "left",
            overflow="ellipsis",
            no_wrap=True,
            width=width,
        )
    for row in texts:
        view.add_row(*row)
    console.print(view, markup=False)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def peak_memory() -> Optional[float]:
    """Return the most memory that this process ever held, in MB; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3  # bytes there, kilobytes here
