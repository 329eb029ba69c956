"""JSON-like values as bytes: MessagePack, never pickles."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from blaze.cache.data import check_json

__all__ = ["decode", "encode"]

# The first byte says what follows: JSON has integers beyond 64 bits and lone surrogates, MessagePack has not.
_MSGPACK, _JSON = b"\x01", b"\x02"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


def encode(key: str, value: Any) -> bytes:
    """Return a value as bytes; TypeError for one that is not JSON-like."""
    problem = check_json(value)
    if problem:
        raise TypeError(
            f"the cache takes JSON-like data only, but the value of {key!r} does not fit: {problem}"
        )
    try:
        return _MSGPACK + _encoder.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return _JSON + json.dumps(value, separators=(",", ":")).encode("ascii")


def decode(data: bytes) -> Any:
    """Return the value of `encode`; ValueError for what it cannot have made."""
    kind, data = data[:1], data[1:]
    try:
        if kind == _MSGPACK:
            return _decoder.decode(data)
        if kind == _JSON:
            return json.loads(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"damaged: {error}") from None
    raise ValueError("damaged: an unknown format")
