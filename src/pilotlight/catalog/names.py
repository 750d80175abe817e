"""Function names, qualifiers and the ARNs of all of Lambda's resources: parsed and formatted here and nowhere else.

AWS takes `thumb`, `thumb:3`, `function:thumb`, `123456789012:function:thumb:prod` and
`arn:aws:lambda:eu-west-1:123456789012:function:thumb:$LATEST` wherever it takes a function. Source: API reference
(Invoke, FunctionName), botocore's patterns, and the errors AWS answers as recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

import re

import msgspec

from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException, ValidationException
from pilotlight.wire.validate import refused_value

LATEST = "$LATEST"
#: what a function on a capacity provider publishes to again and again (PublishTo)
LATEST_PUBLISHED = "$LATEST.PUBLISHED"

#: botocore's NamespacedFunctionName: what Invoke and the reading operations match a name against
FUNCTION_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
    r"([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
#: the same, with names for its parts
_PARTS = re.compile(
    r"(?:arn:(?:aws[a-zA-Z-]*)?:lambda:)?(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?(?P<name>[a-zA-Z0-9_.-]+)"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)
QUALIFIER_PATTERN = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
_QUALIFIER = re.compile(QUALIFIER_PATTERN)
_VERSION = re.compile(r"[0-9]+")
_ALIAS = re.compile(r"(?![0-9]+$)[a-zA-Z0-9_-]+")


class FunctionName(msgspec.Struct, frozen=True):
    """A parsed reference. `qualifier` is None when none was given: not the same as `$LATEST` in what AWS answers."""

    account: str
    region: str
    name: str
    qualifier: str | None = None

    @property
    def function_arn(self) -> str:
        """Unqualified."""
        return function_arn(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        """Qualified when a qualifier was given."""
        return function_arn(self.account, self.region, self.name, self.qualifier)


def parse(reference: str, qualifier: str | None, account: str, region: str) -> FunctionName:
    """What `reference` and `qualifier` name, for a caller in `account` and `region`.

    The account may come out as another than the caller's (whether that is allowed is the caller's question); another
    region is ResourceNotFoundException, and two qualifiers that differ are InvalidParameterValueException, as on AWS.
    """
    match = _PARTS.fullmatch(reference) if len(reference) <= 256 else None
    if match is None:
        raise ValidationException(_violation(reference, "functionName", FUNCTION_PATTERN, 256))
    if qualifier is not None and (len(qualifier) > 128 or not _QUALIFIER.fullmatch(qualifier)):
        raise ValidationException(_violation(qualifier, "qualifier", QUALIFIER_PATTERN, 128))
    in_region = match["region"]
    if in_region is not None and in_region != region:
        raise ResourceNotFoundException(f"Functions from '{in_region}' are not reachable in this region ('{region}')")
    derived = match["qualifier"]
    if derived is not None and qualifier is not None and derived != qualifier:
        raise InvalidParameterValueException(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    return FunctionName(match["account"] or account, region, match["name"], qualifier or derived)


def _violation(value: str, member: str, pattern: str, longest: int) -> str:
    constraint = (
        f"Member must have length less than or equal to {longest}"
        if len(value) > longest
        else f"Member must satisfy regular expression pattern: {pattern}"
    )
    return refused_value(value, member, constraint)


def function_arn(account: str, region: str, name: str, qualifier: str | None = None) -> str:
    """`arn:aws:lambda:REGION:ACCOUNT:function:NAME`, with `:QUALIFIER` when there is one."""
    arn = f"{_prefix(account, region)}:function:{name}"
    return f"{arn}:{qualifier}" if qualifier else arn


def partition(region: str) -> str:
    """The ARN partition a region is in."""
    if region.startswith("cn-"):
        return "aws-cn"
    if region.startswith("us-gov-"):
        return "aws-us-gov"
    return "aws"


def is_version(qualifier: str) -> bool:
    """A published version's number."""
    return bool(_VERSION.fullmatch(qualifier))


def is_alias(qualifier: str) -> bool:
    """Something an alias may be called: AWS words some errors by it, whether or not such an alias exists."""
    return bool(_ALIAS.fullmatch(qualifier))


# -- ARNs of everything else of Lambda's ------------------------------------------------------------------------------


class Arn(msgspec.Struct, frozen=True):
    """An ARN of Lambda's, taken apart: `kind` is what it names (function, layer, event-source-mapping ...), `id` what
    follows that."""

    region: str
    account: str
    kind: str
    id: str


_ARN = re.compile(
    r"arn:aws[a-zA-Z-]*:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<kind>[a-z-]+)[:/](?P<id>.+)"
)


def parse_arn(arn: str) -> Arn | None:
    """None when it is no ARN of Lambda's. A durable execution's comes out as a `durable-execution` whose id is
    FUNCTION:VERSION/durable-execution/NAME/ID."""
    match = _ARN.fullmatch(arn)
    if match is None:
        return None
    kind = "durable-execution" if "/durable-execution/" in match["id"] else match["kind"]
    return Arn(match["region"], match["account"], kind, match["id"])


def layer_arn(account: str, region: str, name: str) -> str:
    return f"{_prefix(account, region)}:layer:{name}"


def layer_version_arn(account: str, region: str, name: str, version: int) -> str:
    return f"{layer_arn(account, region, name)}:{version}"


class LayerName(msgspec.Struct, frozen=True):
    """A parsed reference to a layer, or to one version of it."""

    account: str
    region: str
    name: str
    version: int | None = None

    @property
    def layer_arn(self) -> str:
        return layer_arn(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        """Of the version, when one is named."""
        return self.layer_arn if self.version is None else f"{self.layer_arn}:{self.version}"


_LAYER_ID = re.compile(r"([a-zA-Z0-9_-]+)(?::([0-9]+))?")


def parse_layer(reference: str, account: str, region: str) -> LayerName | None:
    """A layer's name, its ARN, or the ARN of one of its versions, for a caller in `account` and `region`; None when it
    is none of these. Account and region may come out as others than the caller's."""
    arn = parse_arn(reference)
    if arn is not None:
        match = _LAYER_ID.fullmatch(arn.id) if arn.kind == "layer" else None
        return LayerName(arn.account, arn.region, match[1], int(match[2]) if match[2] else None) if match else None
    match = _LAYER_ID.fullmatch(reference)
    return LayerName(account, region, match[1]) if match and not match[2] else None


def event_source_mapping_arn(account: str, region: str, uuid: str) -> str:
    return f"{_prefix(account, region)}:event-source-mapping:{uuid}"


def code_signing_config_arn(account: str, region: str, id: str) -> str:
    return f"{_prefix(account, region)}:code-signing-config:{id}"


def capacity_provider_arn(account: str, region: str, name: str) -> str:
    return f"{_prefix(account, region)}:capacity-provider:{name}"


class CapacityProviderName(msgspec.Struct, frozen=True):
    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        return capacity_provider_arn(self.account, self.region, self.name)


def parse_capacity_provider(reference: str, account: str, region: str) -> CapacityProviderName:
    """A capacity provider's name or ARN, for a caller in `account` and `region`. Account and region may come out as
    others than the caller's."""
    arn = parse_arn(reference)
    return (
        CapacityProviderName(arn.account, arn.region, arn.id)
        if arn
        else CapacityProviderName(account, region, reference)
    )


def durable_execution_arn(account: str, region: str, function: str, version: str, name: str, id: str) -> str:
    """`version` is a published version or $LATEST; `name` what the client called the execution, `id` its own."""
    return f"{function_arn(account, region, function, version)}/durable-execution/{name}/{id}"


class DurableExecutionName(msgspec.Struct, frozen=True):
    account: str
    region: str
    function: str
    version: str
    name: str
    id: str


_DURABLE_ID = re.compile(
    r"([a-zA-Z0-9_-]+):(\$LATEST(?:\.PUBLISHED)?|[0-9]+)/durable-execution/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)"
)


def parse_durable_execution(arn: str) -> DurableExecutionName | None:
    """None when it is no ARN of a durable execution."""
    parsed = parse_arn(arn)
    match = _DURABLE_ID.fullmatch(parsed.id) if parsed else None
    return DurableExecutionName(parsed.account, parsed.region, *match.groups()) if parsed and match else None


def _prefix(account: str, region: str) -> str:
    return f"arn:{partition(region)}:lambda:{region}:{account}"
