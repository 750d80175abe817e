"""Function names, partial and full ARNs, and qualifiers: parsed and formatted here and nowhere else.

AWS takes `thumb`, `thumb:3`, `function:thumb`, `123456789012:function:thumb:prod` and
`arn:aws:lambda:eu-west-1:123456789012:function:thumb:$LATEST` wherever it takes a function. Source: API reference
(Invoke, FunctionName), botocore's patterns, and the errors AWS answers as recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

import re

import msgspec

from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException, ValidationException

LATEST = "$LATEST"

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
    return f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"


def function_arn(account: str, region: str, name: str, qualifier: str | None = None) -> str:
    """`arn:aws:lambda:REGION:ACCOUNT:function:NAME`, with `:QUALIFIER` when there is one."""
    arn = f"arn:{partition(region)}:lambda:{region}:{account}:function:{name}"
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
