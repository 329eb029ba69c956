"""Blaze beside hand-written sqlite3, SQLAlchemy and Peewee: `python -m benchmarks`."""
