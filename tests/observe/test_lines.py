"""The platform's lines to the letter."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.observe import lines

REQUEST = "13222b1e-f16b-4550-89df-869ab0a9806d"


def test_lines_are_those_of_aws() -> None:
    # Each as recorded from AWS, ids aside.
    assert lines.init_start("python3.12", "v89", "us-east-2", "644f") == (
        "INIT_START Runtime Version: python:3.12.v89\tRuntime Version ARN: arn:aws:lambda:us-east-2::runtime:644f\n"
    )
    assert lines.start(REQUEST, "$LATEST") == f"START RequestId: {REQUEST} Version: $LATEST\n"
    assert lines.end(REQUEST) == f"END RequestId: {REQUEST}\n"
    assert lines.report(REQUEST, 26.73, 27, 128, 75) == (
        f"REPORT RequestId: {REQUEST}\tDuration: 26.73 ms\tBilled Duration: 27 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 75 MB\t\n"
    )
    assert lines.report(REQUEST, 20.992, 124, 128, 73, 102.5) == (
        f"REPORT RequestId: {REQUEST}\tDuration: 20.99 ms\tBilled Duration: 124 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 73 MB\tInit Duration: 102.50 ms\t\n"
    )
    assert lines.report(REQUEST, 3000, 3000, 1024, 64, status="timeout") == (
        f"REPORT RequestId: {REQUEST}\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 1024 MB\t"
        "Max Memory Used: 64 MB\tStatus: timeout\n"
    )
    crashed = lines.report(REQUEST, 5, 5, 128, 33, status="error", error_type="Runtime.ExitError")
    assert crashed.endswith("Max Memory Used: 33 MB\tStatus: error\tError Type: Runtime.ExitError\n")
    traced = lines.report(REQUEST, 5, 5, 128, 33, xray=lines.XRayLine("1-5e34a614-10bd", "07f5"))
    assert traced.endswith("\t\nXRAY TraceId: 1-5e34a614-10bd\tSegmentId: 07f5\tSampled: true\t\n")


def test_a_failed_initialisation_has_a_report() -> None:
    assert lines.init_report(1236.041, "init", "timeout") == (
        "INIT_REPORT Init Duration: 1236.04 ms\tPhase: init\tStatus: timeout\n"
    )
    assert lines.init_report(3.0, "invoke", "error", "Runtime.ExitError").endswith(
        "\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError\n"
    )
    assert lines.init_report(13316.04, "init", "success") == "INIT_REPORT Init Duration: 13316.04 ms\n"


def test_restoring_a_snapshot_has_lines_of_its_own() -> None:
    # Recorded from AWS in 2023 and 2025.
    assert lines.restore_start("java21", "v38", "us-east-1", "81e4") == (
        "RESTORE_START Runtime Version: java:21.v38\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:81e4\n"
    )
    assert lines.restore_report(789.64) == "RESTORE_REPORT Restore Duration: 789.64 ms\n"
    assert lines.restore_report(10_000, "timeout") == (
        "RESTORE_REPORT Restore Duration: 10000.00 ms\tStatus: timeout\n"
    )
    assert lines.restore_report(5, "error", "Runtime.AfterRestoreError").endswith(
        "\tStatus: error\tError Type: Runtime.AfterRestoreError\n"
    )
    assert lines.report(REQUEST, 149.53, 313, 512, 71, restore_ms=(789.64, 163)).endswith(
        "\tMax Memory Used: 71 MB\tRestore Duration: 789.64 ms\tBilled Restore Duration: 163 ms\t\n"
    )


@pytest.mark.parametrize(
    ("runtime", "shown"),
    [
        ("python3.14", "python:3.14.v1"),
        ("nodejs22.x", "nodejs:22.v1"),
        ("java21", "java:21.v1"),
        ("provided.al2023", "provided:al2023.v1"),
    ],
)
def test_runtimes_are_named_as_aws_names_them(runtime: str, shown: str) -> None:
    assert lines.init_start(runtime, "v1", "us-east-1", "0").startswith(f"INIT_START Runtime Version: {shown}\t")


def test_billing_rounds_up_to_a_millisecond_and_has_the_initialisation_in_it() -> None:
    assert lines.billed_ms(0.0) == 1
    assert lines.billed_ms(1.0) == 1
    assert lines.billed_ms(1.004) == 1, "printed as 1.00 ms"
    assert lines.billed_ms(1.01) == 2
    assert lines.billed_ms(900_000.0, 479.6) == 900_480, "a REPORT recorded from AWS"


@given(
    st.floats(0, 900_000) | st.integers(0, 90_000_000).map(lambda hundredths: hundredths / 100), st.floats(0, 10_000)
)
def test_the_bill_is_the_printed_duration_rounded_up(duration_ms: float, init_ms: float) -> None:
    for init in (0.0, init_ms):
        assert lines.billed_ms(duration_ms, init) == max(1, math.ceil(float(f"{duration_ms + init:.2f}")))
