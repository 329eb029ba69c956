"""Secrets and redaction: what must never reach a log, a repr, a traceback or a pickle."""

from blaze.security.redaction import Redactor, redact_detail, redact_dsn, redact_statement, redactor
from blaze.security.secret import Secret

__all__ = ["Redactor", "Secret", "redact_detail", "redact_dsn", "redact_statement", "redactor"]
