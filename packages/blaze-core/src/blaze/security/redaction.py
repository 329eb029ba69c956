"""Redaction of DSNs, SQL texts and statement parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

from blaze.utils.naming import snake_case

__all__ = ["SENSITIVE_NAMES", "Redactor", "redact_dsn", "redact_statement"]

SENSITIVE_NAMES: frozenset[str] = frozenset(
    {
        "access_key",
        "access_token",
        "api_key",
        "api_token",
        "apikey",
        "auth_token",
        "authorization",
        "card_number",
        "client_secret",
        "credit_card",
        "credit_card_number",
        "csrf_token",
        "cvc",
        "cvv",
        "encryption_key",
        "iban",
        "id_token",
        "mfa_secret",
        "otp",
        "otp_secret",
        "passphrase",
        "passwd",
        "password",
        "password_hash",
        "passwordhash",
        "pin",
        "private_key",
        "pwd",
        "refresh_token",
        "secret",
        "secret_key",
        "session_key",
        "session_token",
        "social_security_number",
        "ssn",
        "sslpassword",
        "token",
        "totp_secret",
    }
)

_MASK = "***"
# Scheme, then everything up to the last "@" before white space or a quote: a password may itself hold "/",
# "?" or "@".
_AUTHORITY = re.compile(
    r"(?P<head>[A-Za-z][A-Za-z0-9+.\-_]*://)(?P<user>[^\s:/@'\"]*):(?P<password>[^\s'\"]*)@"
)
_QUERY_SECRET = re.compile(
    r"(?P<head>[?&;](?:password|passwd|pwd|sslpassword|token|secret|api_key)=)[^&;\s'\"]*", re.IGNORECASE
)
_KEYWORD_SECRET = re.compile(
    r"(?P<head>\b(?:password|passwd|pwd|sslpassword)\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&;]+)", re.IGNORECASE
)
# Strings go, everything quoted otherwise, and comments, stay as they are. Order matters: the first
# alternative that fits wins.
_STATEMENT_PARTS = re.compile(
    r"(?P<keep>\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|--[^\n]*|/\*.*?\*/)"
    r"|(?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
    r"|(?P<text>'(?:[^']|'')*'?)",
    re.DOTALL,
)


def redact_dsn(text: str) -> str:
    """Replace every password in a DSN, or in a text that holds DSNs or ``password=...`` pairs, by ``***``."""
    text = _AUTHORITY.sub(rf"\g<head>\g<user>:{_MASK}@", text)
    text = _QUERY_SECRET.sub(rf"\g<head>{_MASK}", text)
    return _KEYWORD_SECRET.sub(rf"\g<head>{_MASK}", text)


def redact_statement(sql: str, limit: int = 1000) -> str:
    """Replace the string literals of a SQL text by ``'***'`` and cut it at ``limit`` characters."""
    text = _STATEMENT_PARTS.sub(lambda match: match["keep"] or f"'{_MASK}'", sql)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


class Redactor:
    """Hide statement parameters whose column or parameter name is sensitive.

    Names are compared whole, without case and in snake case (``apiKey`` is ``api_key``), so ``tokenize`` is
    shown and ``token`` is not. ``extra`` adds names, ``allow`` takes names away. Immutable and safe between
    threads.
    """

    __slots__ = ("_limit", "_names")

    def __init__(self, extra: Iterable[str] = (), allow: Iterable[str] = (), limit: int = 80) -> None:
        names = SENSITIVE_NAMES | {snake_case(name) for name in extra}
        self._names = names - {snake_case(name) for name in allow}
        self._limit = limit

    def is_sensitive(self, name: str) -> bool:
        """Say whether values of this column or parameter must not be shown."""
        return snake_case(name.rpartition(".")[2].strip('"`[]')) in self._names

    def parameters(
        self, params: Union[Sequence[Any], Mapping[str, Any]], names: Optional[Sequence[Optional[str]]] = None
    ) -> Any:
        """Give a copy of the parameters that is fit for a log: a dict of texts for named ones, a list for
        others.

        ``names`` holds the column of each positional parameter; a value whose name is not known is hidden and
        only its type is shown, because nobody can say what it is.
        """
        if isinstance(params, Mapping):
            return {str(name): self._shown(str(name), value) for name, value in params.items()}
        known: Sequence[Optional[str]] = names if names is not None else ()
        return [
            self._shown(known[index] if index < len(known) else None, value)
            for index, value in enumerate(params)
        ]

    def _shown(self, name: Optional[str], value: Any) -> str:
        if value is None:
            return "None"
        if name is None:
            return f"<{type(value).__name__}>"
        if self.is_sensitive(name):
            return _MASK
        text = repr(value)
        return text if len(text) <= self._limit else f"{text[: self._limit]}... ({len(text)} characters)"
