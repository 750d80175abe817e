"""Parameters for an operation, drawn from its shape: within the model, and often of things that exist.

A value of something that exists but whose name is not fixed (a mapping's UUID, the token of the next checkpoint) is a
`Ref`, resolved when the request is sent: what is drawn must not depend on what happened before.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from botocore.model import OperationModel, Shape
from hypothesis import strategies as st

from tests.operations.conftest import CODE, OTHER_CODE, ROLE
from tests.wire import oracle

ACCOUNT, REGION = "000000000000", "us-east-1"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}"
MAX_DEPTH = 5


class Ref(NamedTuple):
    """Something of the world's, by its name there."""

    name: str


FUNCTIONS = ["p-full", "p-plain", "p-durable", "p-managed"]
_FUNCTION_NAMES = [
    *["p-full"] * 6,
    *FUNCTIONS,
    "p-new",
    "p-new-2",
    f"{ARN}:function:p-full",
    f"{ACCOUNT}:function:p-plain",
    "p-full:1",
    "p-full:prod",
    "p-durable:1",
    "p-nothing",
    f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:p-full",
    "111122223333:function:p-full",
]
_QUALIFIERS = ["1", "2", "prod", "prod", "canary", "$LATEST", "$LATEST.PUBLISHED", "77", "nothing"]
_LAYERS = ["p-layer", f"{ARN}:layer:p-layer", "p-layer-2", "p-nothing"]
_QUEUES = [f"arn:aws:sqs:{REGION}:{ACCOUNT}:p-queue", f"arn:aws:sqs:{REGION}:{ACCOUNT}:p-queue.fifo"]
_SOURCES = [
    *_QUEUES,
    *_QUEUES,
    f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/p-stream",
    f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/p-table/stream/2026-01-01T00:00:00.000",
    f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/p-cluster/6cc0432b-8618-4f44-bccc-e1fbd8fb7c4d-2",
    f"arn:aws:mq:{REGION}:{ACCOUNT}:broker:p-broker:b-6cc0432b-8618-4f44-bccc-e1fbd8fb7c4d",
]
_RESOURCES = [
    f"{ARN}:function:p-full",
    f"{ARN}:function:p-plain",
    Ref("code signing"),
    Ref("mapping arn"),
    Ref("provider arn"),
]
_POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Sid": "s9", "Effect": "Allow", "Principal": {"AWS": "111122223333"}, '
    f'"Action": "lambda:InvokeFunction", "Resource": "{ARN}:function:p-full"}}]}}'
)

#: values that get past the first rules, by structure and member, by the shape's name, or by the member's where a shape
#: says too little
POOLS: dict[str, list[Any]] = {
    "CreateFunctionRequest.FunctionName": ["p-new", "p-new-2", "p-full", f"{ARN}:function:p-new-3"],
    "CreateAliasRequest.Name": ["p-alias", "p-alias-2", "p-alias-3", "prod"],
    "CreateCapacityProviderRequest.CapacityProviderName": ["p-provider-2", "p-provider-3", "p-provider"],
    "AddPermissionRequest.StatementId": [f"s{number}" for number in range(10)],
    "AddLayerVersionPermissionRequest.StatementId": [f"s{number}" for number in range(10)],
    "FunctionName": _FUNCTION_NAMES,
    "FunctionUrlFunctionName": _FUNCTION_NAMES,
    "NamespacedFunctionName": _FUNCTION_NAMES,
    "UnqualifiedFunctionName": [*FUNCTIONS, "p-managed", "p-nothing"],
    "FunctionUrlQualifier": ["prod", "canary", "nothing"],
    "NumericLatestPublishedOrAliasQualifier": _QUALIFIERS,
    "PublishedFunctionQualifier": ["1", "2", "$LATEST.PUBLISHED"],
    "Qualifier": _QUALIFIERS,
    "VersionWithLatestPublished": ["1", "2", "$LATEST", "77"],
    "Alias": ["prod", "canary", "p-alias", "p-alias-2"],
    "AdditionalVersion": ["1", "2", "77"],
    "LayerName": _LAYERS,
    "LayerNameOrArn": _LAYERS,
    "LayerVersionArn": [Ref("layer version"), f"{ARN}:layer:p-layer:99", f"{ARN}:layer:p-nothing:1"],
    "LayerVersionNumber": [Ref("layer version number"), 1, 99],
    "UUIDString": [Ref("mapping"), "00000000-0000-0000-0000-000000000000"],
    "EventSourceArn": _SOURCES,
    "Destination": [*_QUEUES, f"{ARN}:function:p-plain", f"arn:aws:sns:{REGION}:{ACCOUNT}:p-topic"],
    "CodeSigningConfigArn": [Ref("code signing"), f"{ARN}:code-signing-config:csc-0123456789abcdef0"],
    "CodeSigningPolicyArn": [f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p/abcdefghij"],
    "CapacityProviderName": ["p-provider", "p-provider-2", Ref("provider arn")],
    "CapacityProviderArn": [Ref("provider arn")],
    "RoleArn": [ROLE],
    "Runtime": ["python3.12", "python3.13", "python3.8", "nodejs22.x", "java21", "provided.al2023"],
    "Handler": ["app.handler", "a.b.c"],
    "ZipFile": [CODE, OTHER_CODE, CODE[:-9]],
    "S3Bucket": ["p-bucket"],
    "S3Key": ["p-key.zip"],
    "ImageUri": [f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/p:latest"],
    "RevisionId": [Ref("revision")],
    "Resource": [*_RESOURCES, f"{ARN}:function:p-full:1", f"{ARN}:layer:p-layer:1"],
    "PolicyResourceArn": [f"{ARN}:function:p-full", f"{ARN}:function:p-full:1", f"{ARN}:function:p-nothing"],
    "ResourcePolicy": [_POLICY, "{}", "not json", _POLICY.replace("p-full", "p-plain")],
    "StatementId": ["s1", "s2", "s3"],
    "NamespacedStatementId": ["s1", "s2", "s3"],
    "LayerPermissionAllowedAction": ["lambda:GetLayerVersion"],
    "LayerPermissionAllowedPrincipal": ["*", "111122223333", "arn:aws:iam::111122223333:root"],
    "PositiveInteger": [1, 2, 5, 2000],
    "ReservedConcurrentExecutions": [0, 5, 901],
    "RuntimeVersionArn": [f"arn:aws:lambda:{REGION}::runtime:" + "0123456789abcdef" * 4],
    "Action": ["lambda:InvokeFunction", "lambda:GetFunction", "lambda:*"],
    "Principal": ["s3.amazonaws.com", "111122223333", "*", "arn:aws:iam::111122223333:root"],
    "SourceOwner": ["111122223333"],
    "SourceArn": ["arn:aws:s3:::p-bucket"],
    "DurableExecutionArn": [
        Ref("execution"),
        Ref("paused execution"),
        Ref("ended execution"),
        f"{ARN}:function:p-durable:1/durable-execution/n/i",
    ],
    "DurableExecutionName": ["p-execution-1", "p-execution-2"],
    "CheckpointToken": [Ref("checkpoint token"), "bm90aGluZw=="],
    "CallbackId": [Ref("callback"), "bm90aGluZw=="],
    "OperationId": ["o1", "o2", "o3", "o4"],
    "Marker": ["", "bm90aGluZw==", "gqFuAA=="],
    "KMSKeyArn": ["", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/6cc0432b-8618-4f44-bccc-e1fbd8fb7c4d"],
    "SubnetId": ["subnet-0123456789abcdef0"],
    "SecurityGroupId": ["sg-0123456789abcdef0"],
    "TagKey": ["a", "b", "aws:c"],
    "CodeSha256": ["bm90aGluZw=="],
    "Payload": [b"{}", b'"x"', b"not json", b""],
    "ClientContext": ["e30=", "not base64", "bm90IGpzb24="],
    "MasterRegion": ["ALL", REGION],
    "FilterCriteria": [{"Filters": [{"Pattern": '{"body": {"a": [1]}}'}]}, {"Filters": []}],
}


@functools.cache
def params(operation: OperationModel) -> st.SearchStrategy[dict[str, Any]]:
    if operation.input_shape is None:
        return st.just({})
    return _structure(operation.input_shape, 0, None)


def _value(name: str, shape: Shape, depth: int, location: str | None, parent: str = "") -> st.SearchStrategy[Any]:
    pool = POOLS.get(f"{parent}.{name}") or _pool(name, shape)
    if shape.type_name == "structure" and pool is None:
        return _structure(shape, depth, location)
    if shape.type_name == "list":
        low = int(shape.metadata.get("min", 0))
        high = min(int(shape.metadata.get("max", 3)), low + 2)
        return st.lists(_value("", shape.member, depth + 1, location), min_size=low, max_size=high)
    if shape.type_name == "map":
        key = _value("", shape.key, depth + 1, location)
        return st.dictionaries(key, _value("", shape.value, depth + 1, location), max_size=2)
    anything = _scalar(shape, location) if shape.type_name != "structure" else _structure(shape, depth, location)
    if pool is None:
        return anything
    # What exists first: Hypothesis shrinks towards it, and draws it most.
    return st.integers(0, 9).flatmap(lambda die: st.sampled_from(pool) if die < 8 else anything)


_TYPES: dict[str, type] = {"blob": bytes, "structure": dict, "long": int, "integer": int}


def _pool(name: str, shape: Shape) -> list[Any] | None:
    pool = POOLS.get(shape.name) or (None if getattr(shape, "enum", None) else POOLS.get(name))
    fitting = _TYPES.get(shape.type_name, str)
    return pool if pool and all(isinstance(value, (fitting, Ref)) for value in pool) else None


def _scalar(shape: Shape, location: str | None) -> st.SearchStrategy[Any]:
    return oracle.values(shape, location)


def _structure(shape: Shape, depth: int, location: str | None) -> st.SearchStrategy[dict[str, Any]]:
    """Its required members, and at most a few of the others: one that has them all is refused for the first."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, member in shape.members.items():
        where = member.serialization.get("location") or location
        if member.serialization.get("eventstream") or where == "statusCode":
            continue
        is_required = name in shape.required_members or name in _AS_GOOD_AS_REQUIRED.get(shape.name, ())
        if not is_required and depth >= MAX_DEPTH:
            continue
        (required if is_required else optional)[name] = _value(name, member, depth + 1, where, shape.name)
    if shape.is_tagged_union:
        return st.sampled_from(sorted(optional)).flatmap(lambda name: st.fixed_dictionaries({name: optional[name]}))
    if not optional:
        return st.fixed_dictionaries(required)
    some = st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=3)
    return some.flatmap(lambda names: st.fixed_dictionaries({**required, **{name: optional[name] for name in names}}))


#: what the model calls optional and the service does not
_AS_GOOD_AS_REQUIRED: dict[str, tuple[str, ...]] = {
    "CreateFunctionRequest": ("Runtime", "Handler"),
    "FunctionCode": ("ZipFile",),
    "LayerVersionContentInput": ("ZipFile",),
    "UpdateFunctionCodeRequest": ("ZipFile",),
    "CreateEventSourceMappingRequest": ("EventSourceArn",),
    "DurableConfig": ("ExecutionTimeout",),
}
