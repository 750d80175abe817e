"""A function version as the API shows it: FunctionConfiguration, member by member as AWS answers.

Members AWS leaves out are left out here: no Environment before one was given, no LastUpdateStatus while Pending, no
states in lists. Source: responses of AWS recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pilotlight.catalog.records import LATEST, FunctionVersion
from pilotlight.operations.members import snapstart
from pilotlight.operations.runtimes import CUSTOM

Configuration = dict[str, Any]


def configuration(version: FunctionVersion, arn: str) -> Configuration:
    """FunctionConfiguration. `arn` is qualified when the client named a qualifier: AWS echoes what was asked."""
    answer = listed_configuration(version, arn)
    if version.runtime not in ("", CUSTOM):
        answer["RuntimeVersionConfig"] = {"RuntimeVersionArn": version.runtime_version_arn}
    answer["State"] = version.state
    answer["StateReason"] = version.state_reason or None
    answer["StateReasonCode"] = version.state_reason_code or None
    if version.state != "Pending":
        answer["LastUpdateStatus"] = version.last_update_status
        answer["LastUpdateStatusReason"] = version.last_update_status_reason or None
        answer["LastUpdateStatusReasonCode"] = version.last_update_status_reason_code or None
    return {member: value for member, value in answer.items() if value is not None}


def listed_configuration(version: FunctionVersion, arn: str) -> Configuration:
    """The subset of FunctionConfiguration that lists give."""
    answer: Configuration = {
        "FunctionName": version.name,
        "FunctionArn": arn,
        "Role": version.role,
        "CodeSize": version.code_size,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mib,
        "LastModified": timestamp(version.last_modified_ms),
        "CodeSha256": version.code_sha256,
        "Version": version.version,
        "TracingConfig": {"Mode": version.tracing},
        "RevisionId": version.revision_id,
        "PackageType": version.package_type,
        "Architectures": [version.architecture],
        "EphemeralStorage": {"Size": version.tmp_mib},
        "LoggingConfig": _logging(version),
        **version.held,
    }
    if version.runtime:
        answer["Runtime"] = version.runtime
    if version.handler:
        answer["Handler"] = version.handler
    if "CapacityProviderConfig" not in version.held:
        optimized = version.snap_start == snapstart.ON and version.version != LATEST and version.state == "Active"
        answer["SnapStart"] = {"ApplyOn": version.snap_start, "OptimizationStatus": "On" if optimized else "Off"}
    if version.environment_given:
        answer["Environment"] = {"Variables": version.environment}
    if not version.environment and version.snap_start == "None":
        # A key with nothing to encrypt is kept but not shown (acceptance tests of terraform-provider-aws).
        answer.pop("KMSKeyArn", None)
    if version.layers:
        answer["Layers"] = [{"Arn": layer.arn, "CodeSize": layer.code_size} for layer in version.layers]
    return answer


def _logging(version: FunctionVersion) -> dict[str, str]:
    members = {"LogFormat": version.log_format, "LogGroup": version.log_group_name}
    if version.log_format == "JSON":
        members["ApplicationLogLevel"] = version.application_log_level
        members["SystemLogLevel"] = version.system_log_level
    return members


def timestamp(epoch_ms: int) -> str:
    """Lambda's LastModified: `2026-11-21T03:32:00.000+0000`."""
    moment = datetime.fromtimestamp(epoch_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03d}+0000"
