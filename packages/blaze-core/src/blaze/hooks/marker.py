"""The mark that the hook methods of a plugin carry."""

from __future__ import annotations

from typing import Any, Callable, Optional, TypeVar, Union, overload

F = TypeVar("F", bound=Callable[..., Any])


@overload
def hookimpl(function: F) -> F: ...
@overload
def hookimpl(*, tryfirst: bool = False, trylast: bool = False) -> Callable[[F], F]: ...
def hookimpl(
    function: Optional[F] = None, *, tryfirst: bool = False, trylast: bool = False
) -> Union[F, Callable[[F], F]]:
    """Mark a method of a plugin (entry point `blaze.hooks`) as a hook.

    Used as `@hookimpl` or `@hookimpl(tryfirst=True)`. A method without the mark is never called,
    whatever its name.
    """
    import pluggy

    marker: Any = pluggy.HookimplMarker("blaze")

    def mark(marked: F) -> F:
        result: F = marker(marked, tryfirst=tryfirst, trylast=trylast)
        return result

    return mark if function is None else mark(function)
