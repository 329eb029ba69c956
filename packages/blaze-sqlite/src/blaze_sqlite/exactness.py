"""SQL of models that would pass decimals through floats, of which SQLite keeps 15 digits."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Optional

from blaze.sql.tokens import SYMBOL, tokenize
from blaze_sqlite.constraints import LEXIS

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ROUNDING = frozenset({"ABS", "ROUND"})
# Words after which a sign belongs to the number behind it.
_BEFORE_VALUES = frozenset(
    {"AND", "BETWEEN", "CASE", "ELSE", "IN", "IS", "LIKE", "NOT", "OR", "THEN", "WHEN"}
)


def exact_number(text: str) -> Optional[str]:
    """Return a number, which may stand in parentheses, as a text literal; None for anything else."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    return f"'{Decimal(text):f}'" if _NUMBER.fullmatch(text) else None


def inexact_part(text: str) -> Optional[str]:
    """Return the first operator or function of an expression that calculates with floats, None without one.

    An expression that uses the `decimal_` functions is left to whoever wrote it.
    """
    tokens = [token for token in tokenize(text, LEXIS) if token.text]
    if any(token.word.startswith("DECIMAL_") for token in tokens):
        return None
    for index, token in enumerate(tokens):
        following = tokens[index + 1].text if index + 1 < len(tokens) else ""
        if token.word in _ROUNDING and following == "(":
            return f"{token.text}()"
        if token.kind != SYMBOL or token.text not in ("+", "-", "*", "/", "%") or following == ">":
            continue
        before = tokens[index - 1] if index else None
        is_sign = before is None or before.word in _BEFORE_VALUES or before.text in tuple("(,=<>|+-*/%")
        is_number = following[:1].isdigit() or following == "."
        if not (is_sign and is_number and token.text in "+-"):
            return token.text
    return None
