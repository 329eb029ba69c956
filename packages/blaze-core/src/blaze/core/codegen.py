"""Compile generated functions so that tracebacks, debuggers and `inspect` show their source."""

from __future__ import annotations

import itertools
import linecache
import weakref
from typing import Any, Callable

_serial = itertools.count(1)


def make_function(name: str, source: str, names: dict[str, Any]) -> Callable[..., Any]:
    """Return the function `name` that `source` defines.

    `names` are the globals that the source uses; the caller binds values through them and never pastes a
    value into the source. The source is registered with `linecache` under a unique file name as long as the
    function lives.
    """
    filename = f"<blaze {name} #{next(_serial)}>"
    namespace = dict(names)
    exec(compile(source, filename, "exec"), namespace)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    function: Callable[..., Any] = namespace[name]
    weakref.finalize(function, linecache.cache.pop, filename, None).atexit = False
    return function
