"""Hooks: functions that are called when something happens in a session. The manual is spec.py."""

from blaze.hooks.dispatch import acall, call
from blaze.hooks.marker import hookimpl
from blaze.hooks.registry import HookHandle, HookRegistry, registry
from blaze.hooks.table import HookTable, ModelHooks

__all__ = [
    "HookHandle",
    "HookRegistry",
    "HookTable",
    "ModelHooks",
    "acall",
    "call",
    "hookimpl",
    "register",
    "registry",
]

register = registry.register
