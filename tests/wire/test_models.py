"""Models come from the installed botocore, lazily, once, and are the law."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pilotlight.wire.models import Shape, UnknownService, load_model
from tests.wire import oracle


def test_importing_wire_reads_no_model_and_not_even_botocore() -> None:
    program = (
        "import sys, pilotlight.wire as wire; api = wire.ServiceApi('lambda', {});"
        "assert 'botocore' not in sys.modules; assert api.route('GET', '/2015-03-31/functions', {}) == 'ListFunctions'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_model_is_read_once() -> None:
    assert load_model("lambda") is load_model("lambda")


@pytest.mark.parametrize("name", ["lambda", "logs"])
def test_a_model_is_the_one_botocore_uses(name: str) -> None:
    """The newest, where botocore has several (Lambda has one of 2014)."""
    model, theirs = load_model(name), oracle.service_model(name)
    assert sorted(model.operation_names) == sorted(theirs.operation_names)
    for operation in model.operation_names:
        ours, other = model.operation(operation), theirs.operation_model(operation)
        assert (ours.method, ours.uri) == (other.http["method"], other.http["requestUri"])
        assert ours.status == other.http.get("responseCode", 200)
        assert (ours.input.name if ours.input else None) == (other.input_shape.name if other.input_shape else None)
        if ours.input is not None and other.input_shape is not None:
            assert ours.input.required == set(other.input_shape.required_members)
            assert list(ours.input.members) == list(other.input_shape.members)


def test_errors_are_shapes_and_other_shapes_are_no_errors() -> None:
    model = load_model("lambda")
    throttled = model.error_shape("TooManyRequestsException")
    assert isinstance(throttled, Shape)
    assert throttled.members["retryAfterSeconds"].location == "header"
    assert model.error_shape("FunctionConfiguration") is None
    assert model.error_shape("ValidationException") is None


@pytest.mark.parametrize("name", ["no-such-service", "s3", "../lambda"])
def test_what_botocore_does_not_have_or_wire_does_not_speak_is_unknown(name: str) -> None:
    with pytest.raises(UnknownService):
        load_model(name)
