"""CBOR (RFC 8949), as much of it as AWS's `smithy-rpc-v2-cbor` protocol uses: JSON's values, bytes, and moments.

Ours, because what comes in is anybody's: nothing but these types is ever made of it, at a bounded depth, and a hundred
lines are less than a library with a parser in C. Source: https://smithy.io/2.0/additional-specs/protocols/
smithy-rpc-v2.html (a timestamp is tag 1; what is undefined is null; indefinite lengths have to be understood).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from pilotlight.wire import timestamps

_MOST_DEPTH = 64
_INDEFINITE = 31
_BREAK = object()
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}


class CborError(ValueError):
    """Not CBOR, or none that this protocol may hold."""


def decode(data: bytes) -> Any:
    """One item, and nothing after it."""
    decoder = _Decoder(data)
    value = decoder.item(0)
    if value is _BREAK or decoder.at != len(data):
        raise CborError("there is more than one item")
    return value


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def item(self, depth: int) -> Any:
        if depth > _MOST_DEPTH:
            raise CborError("it is nested too deeply")
        (first,) = self._take(1)
        major, info = first >> 5, first & 31
        if major == 7:
            return self._simple(info)
        if info == _INDEFINITE:
            return self._indefinite(major, depth)
        argument = self._argument(info)
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        if major == 2:
            return self._take(argument)
        if major == 3:
            return _text(self._take(argument))
        if major == 4:
            return [self._value(depth) for _ in range(self._count(argument))]
        if major == 5:
            return {self._key(depth): self._value(depth) for _ in range(self._count(argument))}
        return self._tagged(argument, depth)

    def _value(self, depth: int) -> Any:
        value = self.item(depth + 1)
        if value is _BREAK:
            raise CborError("an item is missing")
        return value

    def _key(self, depth: int) -> str:
        key = self.item(depth + 1)
        if type(key) is not str:
            raise CborError("a key is no text")
        return key

    def _indefinite(self, major: int, depth: int) -> Any:
        if major in (2, 3):
            wanted = bytes if major == 2 else str
            pieces: list[Any] = []
            while (piece := self.item(depth + 1)) is not _BREAK:
                if type(piece) is not wanted:
                    raise CborError("a piece of a string is none")
                pieces.append(piece)
            return wanted().join(pieces)
        if major == 4:
            items: list[Any] = []
            while (item := self.item(depth + 1)) is not _BREAK:
                items.append(item)
            return items
        if major == 5:
            found: dict[str, Any] = {}
            while (key := self.item(depth + 1)) is not _BREAK:
                if type(key) is not str:
                    raise CborError("a key is no text")
                found[key] = self._value(depth)
            return found
        raise CborError("a length is missing")

    def _simple(self, info: int) -> Any:
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info in _FLOATS:
            layout = _FLOATS[info]
            return layout.unpack(self._take(layout.size))[0]
        if info == _INDEFINITE:
            return _BREAK
        raise CborError(f"simple value {info} has no meaning here")

    def _tagged(self, tag: int, depth: int) -> Any:
        value = self._value(depth)
        if tag == 1 and type(value) in (int, float):
            try:
                return timestamps.from_epoch(value)
            except ValueError as error:
                raise CborError(str(error)) from error
        if tag in (2, 3) and type(value) is bytes:
            number = int.from_bytes(value)
            return number if tag == 2 else -1 - number
        raise CborError(f"tag {tag} has no meaning here")

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise CborError("a length is malformed")
        return int.from_bytes(self._take(1 << (info - 24)))

    def _count(self, count: int) -> int:
        # Every item takes a byte at least: what is announced and cannot be there is not waited for.
        if count > len(self._data) - self.at:
            raise CborError("it ends too early")
        return count

    def _take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._data):
            raise CborError("it ends too early")
        taken = self._data[self.at : end]
        self.at = end
        return taken


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CborError(f"a text is not UTF-8: {error}") from error


def encode(value: Any) -> bytes:
    """`value` is made of None, bool, int, float, str, bytes, aware datetimes, lists and dicts with text keys."""
    pieces: list[bytes] = []
    _write(value, pieces.append)
    return b"".join(pieces)


def _write(value: Any, put: Callable[[bytes], None]) -> None:
    if value is None:
        put(b"\xf6")
    elif value is True:
        put(b"\xf5")
    elif value is False:
        put(b"\xf4")
    elif isinstance(value, int):
        put(_head(0, value) if value >= 0 else _head(1, -1 - value))
    elif isinstance(value, float):
        put(b"\xfb" + struct.pack(">d", value))
    elif isinstance(value, str):
        text = value.encode()
        put(_head(3, len(text)) + text)
    elif isinstance(value, bytes):
        put(_head(2, len(value)) + value)
    elif isinstance(value, datetime):
        put(b"\xc1")
        _write(timestamps.to_epoch(value), put)
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        put(_head(4, len(items)))
        for item in items:
            _write(item, put)
    else:
        members = cast("dict[str, Any]", value)
        put(_head(5, len(members)))
        for key, item in members.items():
            _write(key, put)
            _write(item, put)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    size = 1 if argument < 1 << 8 else 2 if argument < 1 << 16 else 4 if argument < 1 << 32 else 8
    return bytes((major << 5 | 23 + size.bit_length(),)) + argument.to_bytes(size)
