"""Which service a request is for, and in which account and region: one URL serves all of AWS, so the request must say.

Asked in this order, first answer wins: the credential scope (header, then presigned query), the X-Amz-Target prefix,
the host name, the path, the Version of a query-protocol call. What none of them tells is S3's, whose paths are free.
Service names are AWS's signing names (`s3`, `sqs`, `monitoring` ...).
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

from pilotlight.front import sigv2
from pilotlight.front.guard import split_host
from pilotlight.front.request_head import Head


class Destination(msgspec.Struct, frozen=True, gc=False):
    """Where a request goes and on whose behalf: `scope["pilotlight"]` for the application behind the front."""

    account: str
    region: str
    service: str
    request_id: str
    caller: str


class CredentialScope(msgspec.Struct, frozen=True, gc=False):
    """`AKID/20261121/us-east-1/lambda/aws4_request`, taken apart."""

    access_key_id: str
    date: str
    region: str
    service: str


# X-Amz-Target is `Prefix.Operation`; the prefix without its version date, lower case -> signing name.
_TARGETS = {
    "logs": "logs",
    "dynamodb": "dynamodb",
    "dynamodbstreams": "dynamodb",
    "amazonsqs": "sqs",
    "kinesis": "kinesis",
    "firehose": "firehose",
    "secretsmanager": "secretsmanager",
    "amazonssm": "ssm",
    "awsevents": "events",
    "trentservice": "kms",
    "awsstepfunctions": "states",
    "awscognitoidentityproviderservice": "cognito-idp",
    "awscognitoidentityservice": "cognito-identity",
    "graniteserviceversion": "monitoring",
    "amazonec2containerregistry": "ecr",
    "amazonec2containerservice": "ecs",
    "certificatemanager": "acm",
    "awsglue": "glue",
    "amazonathena": "athena",
    "resourcegroupstaggingapi": "tagging",
    "cloudtrail": "cloudtrail",
    "starlingdoveservice": "config",
}

# Version of a query-protocol call -> signing name, for the services clients call most.
_QUERY_VERSIONS = {
    "2012-11-05": "sqs",
    "2010-03-31": "sns",
    "2011-06-15": "sts",
    "2010-05-08": "iam",
    "2010-05-15": "cloudformation",
    "2010-08-01": "monitoring",
    "2016-11-15": "ec2",
    "2010-12-01": "email",
    "2014-10-31": "rds",
    "2011-01-01": "autoscaling",
    "2015-12-01": "elasticloadbalancing",
}

_HOST_SERVICES = frozenset(_TARGETS.values()) | frozenset(_QUERY_VERSIONS.values()) | {"lambda", "s3", "execute-api"}
_REGION = re.compile(r"(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d")
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}|\*")
_TARGET_VERSION = re.compile(r"(_?[Vv]?\d{8})?(_\w+)?$")
_LAMBDA_PATH = re.compile(
    r"/20\d\d-\d\d-\d\d/(functions|event-source-mappings|layers|layers-by-arn|account-settings|tags|"
    r"code-signing-configs|capacity-providers|durable-executions|durable-execution-callbacks|resource-policy)(/|$)"
)
# As SDKs call the services that speak smithy-rpc-v2-cbor.
_RPC_PATH = re.compile(r"/service/(\w+)/operation/\w+$")
_AWS_PARENTS = ("amazonaws.com", "amazonaws.com.cn", "api.aws", "localhost")


def credential_scope(credential: str) -> CredentialScope | None:
    """A SigV4 `Credential=` value taken apart; None when it is not one. SigV4A's have region ""."""
    parts = credential.split("/")
    if len(parts) >= 5:
        # An access key id may hold slashes; the four parts of the scope may not.
        key_id, date, region, service = "/".join(parts[:-4]), parts[-4], parts[-3], parts[-2]
    elif len(parts) == 4:
        key_id, date, service = parts[:3]
        region = ""
    else:
        return None
    # Region and service become names of things further in: nothing but what AWS's names are made of.
    if not _NAME.fullmatch(service) or not (region == "" or _NAME.fullmatch(region)):
        return None
    return CredentialScope(key_id, date, region, service)


def header_credential(authorization: bytes) -> bytes:
    """The `Credential=` value of an Authorization header; b"" when it has none."""
    start = authorization.find(b"Credential=")
    if start < 0:
        return b""
    start += 11
    end = authorization.find(b",", start)
    return (authorization[start:end] if end >= 0 else authorization[start:]).strip()


def query_value(query: str, name: str) -> str:
    """The first value of a query parameter, decoded; "" when it is absent."""
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key == name or ("%" in key and unquote(key) == name):
            return unquote(value)
    return ""


def scope_of(head: Head) -> CredentialScope | None:
    """The credential scope a request claims, in its Authorization header or its presigned URL.

    S3's old Signature Version 2 names the key alone: its scope has neither date nor region.
    """
    if b"authorization" in head.fields or "X-Amz-Credential" in head.query or "AWSAccessKeyId=" in head.query:
        credential = header_credential(head.fields.get(b"authorization", b"")).decode("latin-1")
        if not credential and b"authorization" not in head.fields:
            credential = query_value(head.query, "X-Amz-Credential")
        if credential:
            return credential_scope(credential)
        old_key_id = sigv2.key_id(head)
        if old_key_id:
            return CredentialScope(old_key_id, "", "", "s3")
    return None


def service_of(head: Head, scope: CredentialScope | None) -> str:
    """The signing name of the service a request is for."""
    if scope is not None and scope.service:
        return scope.service
    target = head.text(b"x-amz-target")
    if target:
        prefix = _TARGET_VERSION.sub("", target.partition(".")[0]).lower()
        return _TARGETS.get(prefix, prefix)
    return _service_of_host(head.host) or _service_of_path(head)


def region_in_host(authority: str) -> str:
    """The region that a host name holds, as in `lambda.eu-west-1.amazonaws.com`; "" when it holds none."""
    return next((label for label in split_host(authority).split(".") if _REGION.fullmatch(label)), "")


def is_function_url(authority: str) -> bool:
    """Whether it is the host of a function URL: `abc123.lambda-url.us-east-1.localhost`, or `.on.aws`."""
    labels = split_host(authority).split(".")
    return len(labels) > 2 and labels[1] == "lambda-url"


def _service_of_host(authority: str) -> str:
    """`lambda.us-east-1.amazonaws.com`, `bucket.s3.localhost`, `bucket.localhost` ...; "" for a plain name."""
    name = split_host(authority)
    for parent in _AWS_PARENTS:
        if name.endswith("." + parent):
            labels = name[: -len(parent) - 1].split(".")
            break
    else:
        return ""
    for label in reversed(labels):
        if label in _HOST_SERVICES:
            return label
        if label == "lambda-url":
            return "lambda"  # met only when a request to it is refused while it is read
        if label.startswith(("s3-", "s3express")):
            return "s3"
        if not _REGION.fullmatch(label) and label != "dualstack":
            break
    # `bucket.localhost` is how SDKs address a bucket of `http://localhost`.
    return "s3" if parent == "localhost" else ""


def _service_of_path(head: Head) -> str:
    if _LAMBDA_PATH.match(head.raw_path):
        return "lambda"
    if found := _RPC_PATH.match(head.raw_path):
        prefix = _TARGET_VERSION.sub("", found[1]).lower()
        return _TARGETS.get(prefix, prefix)
    if head.raw_path == "/" and "Action=" in head.query:
        return _QUERY_VERSIONS.get(query_value(head.query, "Version"), "s3")
    return "s3"
