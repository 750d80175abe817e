"""Saying in one line which AWS error a call gets."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session


@contextlib.contextmanager
def refused(code: str, message: str, status: int = 400, *, typed: bool = True) -> Iterator[None]:
    """The block raises a ClientError of this code, exact message and HTTP status, in the shape the model has for it:
    with `Type` where that has one, unless AWS leaves it out here (`typed` False)."""
    with pytest.raises(ClientError) as caught:
        yield
    answer = caught.value.response
    error = answer["Error"]
    found = (error["Code"], error["Message"], answer["ResponseMetadata"]["HTTPStatusCode"], answer.get("Type"))
    assert found == (code, message, status, "User" if typed and code in _typed_errors() else None)


@functools.cache
def _typed_errors() -> frozenset[str]:
    shapes = Session().get_service_model("lambda").error_shapes
    return frozenset(shape.name for shape in shapes if "Type" in shape.members)
