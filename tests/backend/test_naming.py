"""Names and suggestions."""

from __future__ import annotations

import pytest

from blaze.utils import constraint_name, join_table_name, snake_case, suggest, table_name

pytestmark = pytest.mark.requirement("R92")


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("Book", "book"),
        ("BookShelf", "book_shelf"),
        ("HTTPServer", "http_server"),
        ("userID", "user_id"),
        ("OAuth2Token", "o_auth2_token"),
        ("already_snake", "already_snake"),
        ("Ärger", "ärger"),
    ],
)
def test_snake_case(name: str, snake: str) -> None:
    assert snake_case(name) == snake
    assert table_name(name) == snake


def test_tables_are_not_pluralised() -> None:
    assert table_name("Category") == "category"
    assert join_table_name("book", "tags") == "book_tags"


def test_long_names_stay_different_and_fit() -> None:
    one = constraint_name("uq", "t" * 60, ["first"])
    other = constraint_name("uq", "t" * 60, ["second"])
    assert one != other
    assert len(one.encode()) <= 63
    assert constraint_name("uq", "book", ["title", "author_id"]) == "uq_book_title_author_id"
    assert len(constraint_name("ix", "ä" * 40, ["x"]).encode()) <= 63


def test_suggestions_name_the_nearest_or_all() -> None:
    assert suggest("titel", ["title", "price"]) == "; did you mean 'title'?"
    assert suggest("TITLE", ["title", "price"]) == "; did you mean 'title'?"
    assert suggest("zzz", ["title", "price"]) == "; valid names: price, title"
    assert suggest("zzz", [f"n{i}" for i in range(20)]).endswith(", ...")
    assert suggest("x", []) == ""
