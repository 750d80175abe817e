"""Saying in one line which AWS error a call gets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError


@contextlib.contextmanager
def refused(code: str, message: str, status: int = 400) -> Iterator[None]:
    """The block raises a ClientError of this code, exact message and HTTP status."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    found = (error["Code"], error["Message"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"])
    assert found == (code, message, status)
