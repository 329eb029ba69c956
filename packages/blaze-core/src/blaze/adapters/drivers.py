"""What is said where the driver of an adapter is missing or broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from blaze.errors import ConfigurationError

__all__ = ["importing"]


@contextmanager
def importing(driver: str, cure: str) -> Iterator[None]:
    """Raise `ConfigurationError` with the reason and the cure where an import inside fails."""
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"the driver {driver} cannot be imported ({type(error).__name__}: {error}): {cure}"
        ) from error
