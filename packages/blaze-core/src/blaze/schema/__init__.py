"""From models to tables: definitions, DDL, and the functions that create and drop tables."""

from blaze.schema.builder import SchemaBuilder
from blaze.schema.create import (
    acreate_all,
    adrop_all,
    create_all,
    create_all_plan,
    drop_all,
    drop_all_plan,
)

__all__ = [
    "SchemaBuilder",
    "acreate_all",
    "adrop_all",
    "create_all",
    "create_all_plan",
    "drop_all",
    "drop_all_plan",
]
