"""CBOR against botocore's own parser and writer, and against bytes that nobody honest sends."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import RpcV2CBORParser
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.wire import cbor

MOMENT = datetime(2026, 11, 30, 4, 0, 0, 250_000, UTC)
texts = st.text(st.characters(exclude_categories=("Cs",)))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    texts,
    st.binary(),
    st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)),
)
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)


@given(values)
def test_what_is_written_is_read(value: Any) -> None:
    assert cbor.decode(cbor.encode(value)) == value


@given(
    st.dictionaries(
        texts, st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), texts, st.lists(st.floats(-1e9, 1e9)))
    )
)
def test_botocore_reads_what_is_written(value: Any) -> None:
    assert RpcV2CBORParser().parse_data_item(io.BufferedReader(io.BytesIO(cbor.encode(value)))) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xbf\x61a\x01\xff", {"a": 1}),
        (b"\x9f\x01\x02\xff", [1, 2]),
        (b"\x7f\x61a\x61b\xff", "ab"),
        (b"\x5f\x41a\x41b\xff", b"ab"),
        (b"\xf7", None),
        (b"\xf9\x3c\x00", 1.0),
        (b"\xfa\x3f\xc0\x00\x00", 1.5),
        (b"\xc1\xfb" + struct.pack(">d", MOMENT.timestamp()), MOMENT),
        (b"\xc2\x49\x01" + bytes(8), 2**64),
        (b"\xc3\x41\x00", -1),
        (b"\x1b" + b"\xff" * 8, 2**64 - 1),
    ],
)
def test_forms_that_others_write(data: bytes, value: Any) -> None:
    assert cbor.decode(data) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa1",
        b"\xa1\x01\x02",  # a key that is no text
        b"\x61",
        b"\x61\xff",  # not UTF-8
        b"\x01\x02",  # two items
        b"\xff",
        b"\x9f\x01",
        b"\xbf\x61a\xff",
        b"\x7f\x01\xff",  # a piece of text that is a number
        b"\x82\x01\xff",
        b"\x1c",  # a length that is reserved
        b"\x1f",
        b"\xe0",
        b"\xc0\x60",  # a tag that means nothing here
        b"\xc1\x61a",
        b"\xc1\xfb" + struct.pack(">d", float("inf")),
        b"\xc1\xfb" + struct.pack(">d", float("nan")),
        b"\xc1\x1b" + b"\xff" * 8,
        b"\x9b" + b"\xff" * 8,  # 2**64 items are announced
        b"\x5b" + b"\xff" * 8,
        b"\x81" * 1_000_000,
        b"\x9f" * 1_000_000,
        b"\xc1" * 1_000_000,
    ],
)
def test_what_cannot_be_read_is_an_error_at_once(data: bytes) -> None:
    with pytest.raises(cbor.CborError):
        cbor.decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_an_error(data: bytes) -> None:
    with suppress(cbor.CborError):
        cbor.decode(data)
