"""Small helpers that know nothing of SQL, models or sessions."""

from blaze.utils.naming import constraint_name, join_table_name, snake_case, suggest, table_name

__all__ = ["constraint_name", "join_table_name", "snake_case", "suggest", "table_name"]
