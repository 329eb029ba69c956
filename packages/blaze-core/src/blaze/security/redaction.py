"""Redaction of DSNs, SQL texts and statement parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

from blaze.utils.naming import snake_case

__all__ = ["SENSITIVE_NAMES", "Redactor", "redact_detail", "redact_dsn", "redact_statement", "redactor"]

SENSITIVE_NAMES: frozenset[str] = frozenset(
    {
        "access_key",
        "access_token",
        "api_key",
        "api_token",
        "apikey",
        "auth_token",
        "authorization",
        "backup_code",
        "card_number",
        "client_secret",
        "credentials",
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
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "passwordhash",
        "passwords",
        "pin",
        "private_key",
        "pwd",
        "recovery_code",
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
# Patterns are compiled at their first use, which costs 2 ms: programs that only declare models have none.
# Scheme, then everything up to the last "@" before white space or a quote: a password may itself hold "/",
# "?" or "@".
_AUTHORITY = r"(?P<head>[A-Za-z][A-Za-z0-9+.\-_]*://)(?P<user>[^\s:/@'\"]*):(?P<password>[^\s'\"]*)@"
_QUERY_SECRET = r"(?i)(?P<head>[?&;](?:password|passwd|pwd|sslpassword|token|secret|api_key)=)[^&;\s'\"]*"
_KEYWORD_SECRET = r"(?i)(?P<head>\b(?:password|passwd|pwd|sslpassword)\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&;]+)"
# Strings go, everything quoted otherwise, and comments, stay as they are. Order matters: the first
# alternative that fits wins.
_STATEMENT_PARTS = (
    r"(?s)(?P<keep>\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|--[^\n]*|/\*.*?\*/)"
    r"|(?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
    r"|(?P<text>'(?:[^']|'')*'?)"
)


def redact_dsn(text: str) -> str:
    """Replace every password in a DSN, or in a text that holds DSNs or ``password=...`` pairs, by ``***``."""
    text = re.sub(_AUTHORITY, rf"\g<head>\g<user>:{_MASK}@", text)
    text = re.sub(_QUERY_SECRET, rf"\g<head>{_MASK}", text)
    return re.sub(_KEYWORD_SECRET, rf"\g<head>{_MASK}", text)


def redact_statement(sql: str, limit: int = 1000) -> str:
    """Replace the string literals of a SQL text by ``'***'`` and cut it at ``limit`` characters."""
    text = re.sub(_STATEMENT_PARTS, lambda match: match["keep"] or f"'{_MASK}'", sql)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def redact_detail(detail: str, sql: Optional[str]) -> str:
    """Hide the string literals of a SQL text where a driver's message about it repeats them in quotes."""
    if sql is None:
        return detail
    literals = {match["text"] or match["dollar"] for match in re.finditer(_STATEMENT_PARTS, sql)}
    for literal in sorted(filter(None, literals), key=len, reverse=True):
        if literal.strip("'"):
            detail = detail.replace(literal, f"'{_MASK}'")
            detail = detail.replace(f'"{literal.strip(chr(39))}"', f'"{_MASK}"')
    return detail


class Redactor:
    """Hide statement parameters whose column or parameter name is sensitive.

    Names are compared by whole words, without case and in snake case: ``token``, ``resetToken`` and
    ``token_hash`` are hidden, ``tokenize`` is shown. ``extra`` adds names, ``allow`` takes names away; texts
    are cut at ``limit`` characters. Safe between threads.
    """

    __slots__ = ("_allowed", "_limit", "_longest", "_names")

    def __init__(self, extra: Iterable[str] = (), allow: Iterable[str] = (), limit: int = 80) -> None:
        self._names: frozenset[str] = SENSITIVE_NAMES
        self._allowed: frozenset[str] = frozenset()
        self._limit = limit
        self.configure(extra, allow)

    def configure(self, extra: Iterable[str] = (), allow: Iterable[str] = ()) -> None:
        """Add names to hide, and names to show again: both hold for whatever is shown from now on."""
        shown = {snake_case(name) for name in allow}
        hidden = {snake_case(name) for name in extra}
        self._names = (self._names | hidden) - shown
        self._allowed = (self._allowed | shown) - hidden
        self._longest = max((name.count("_") + 1 for name in self._names), default=0)

    def is_sensitive(self, name: str) -> bool:
        """Say whether values of this column or parameter must not be shown."""
        name = snake_case(name.rpartition(".")[2].strip('"`[]'))
        if name in self._allowed:
            return False
        words, names, lengths = name.split("_"), self._names, range(1, self._longest + 1)
        return any(
            "_".join(words[at : at + length]) in names for at in range(len(words)) for length in lengths
        )

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

    def shown(self, name: str, value: Any) -> str:
        """Give what a message or a ``repr`` shows of a value: ``***`` where the name is sensitive."""
        return _MASK if value is not None and self.is_sensitive(name) else repr(value)

    def problem(self, name: str, value: Any, problem: str) -> str:
        """Give the text about a value that does not fit; where the name is sensitive, one without it."""
        if not self.is_sensitive(name):
            return problem
        return f"a {type(value).__name__} that does not fit; it is not shown here"

    def _shown(self, name: Optional[str], value: Any) -> str:
        if value is None:
            return "None"
        if name is None:
            return f"<{type(value).__name__}>"
        if self.is_sensitive(name):
            return _MASK
        text = repr(value)
        return text if len(text) <= self._limit else f"{text[: self._limit]}... ({len(text)} characters)"


redactor = Redactor()
"""What sessions show their parameters through, in logs, samples and messages; change it by `configure`."""
