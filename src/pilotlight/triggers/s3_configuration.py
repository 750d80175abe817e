"""A bucket's notification configuration: read from S3's XML, checked by S3's rules, written as S3's XML.

Both forms of the API (NotificationConfiguration and the deprecated one with a single Event per target) are the same
document. What can be judged without looking elsewhere is judged here; whether targets exist is s3_notifications.py's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Literal
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import msgspec

from pilotlight.errors import InvalidArgument, MalformedXML
from pilotlight.triggers.s3_filter import EVENT_NAMES, KeyFilter, shared_events

XML_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
RULE_VALUE_LIMIT_BYTES = 1024
ID_LIMIT = 255

TargetKind = Literal["lambda", "sqs", "sns"]
#: element of the configuration -> (kind, element of the target's ARN, name of the argument in errors)
_ELEMENTS: dict[str, tuple[TargetKind, str, str]] = {
    "TopicConfiguration": ("sns", "Topic", "TopicArn"),
    "QueueConfiguration": ("sqs", "Queue", "QueueArn"),
    "CloudFunctionConfiguration": ("lambda", "CloudFunction", "LambdaFunctionArn"),
}


class Target(msgspec.Struct, frozen=True):
    """One configuration: these events, of these keys, go there."""

    id: str
    kind: TargetKind
    arn: str
    events: tuple[str, ...]
    filter: KeyFilter = KeyFilter()

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


class BucketNotifications(msgspec.Struct, frozen=True):
    """What is stored per bucket. `account` is who set it, and counts as the bucket's owner."""

    bucket: str
    account: str
    region: str
    targets: tuple[Target, ...] = ()
    event_bridge: bool = False
    embedded: bool = False
    """The bucket is in the embedded S3, and so gone when that is started anew."""

    @property
    def bucket_arn(self) -> str:
        return f"arn:aws:s3:::{self.bucket}"


def parse(body: bytes) -> tuple[tuple[Target, ...], bool]:
    """The targets of a NotificationConfiguration document, and whether EventBridge is on.

    Raises MalformedXML and InvalidArgument, in S3's words.
    """
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise _malformed() from None
    if _name(root) != "NotificationConfiguration":
        raise _malformed()
    targets: list[Target] = []
    event_bridge = False
    for element in root:
        if _name(element) == "EventBridgeConfiguration":
            event_bridge = True
        elif _name(element) in _ELEMENTS:
            targets.append(_target(element))
        else:
            raise _malformed()
    _refuse_same_ids(targets)
    _refuse_overlaps(targets)
    return tuple(targets), event_bridge


def render(targets: tuple[Target, ...], event_bridge: bool) -> bytes:
    parts = [_target_xml(target) for target in targets]
    if event_bridge:
        parts.append("<EventBridgeConfiguration/>")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<NotificationConfiguration xmlns="{XML_NAMESPACE}">{"".join(parts)}</NotificationConfiguration>'
    ).encode()


def argument_name(kind: TargetKind) -> str:
    """How S3's errors name the ARN of such a target."""
    return next(argument for of_kind, _, argument in _ELEMENTS.values() if of_kind == kind)


def _target(element: ElementTree.Element) -> Target:
    kind, arn_element, argument = _ELEMENTS[_name(element)]
    arn = _text(element, arn_element)
    events = tuple((child.text or "").strip() for child in element if _name(child) == "Event")
    if not arn or not events:
        raise _malformed()
    _check_arn(arn, kind, argument)
    for event in events:
        if event not in EVENT_NAMES:
            raise InvalidArgument(
                "A specified event is not supported for notifications.", ArgumentName="Event", ArgumentValue=event
            )
    identifier = _text(element, "Id") or str(uuid.uuid4())
    if len(identifier) > ID_LIMIT:
        raise InvalidArgument(
            f"The ID of a configuration may have up to {ID_LIMIT} characters.",
            ArgumentName="Id",
            ArgumentValue=identifier,
        )
    return Target(identifier, kind, arn, events, _filter(element))


def _check_arn(arn: str, kind: TargetKind, argument: str) -> None:
    parts = arn.split(":")
    well_formed = (
        len(parts) >= 6
        and parts[0] == "arn"
        and parts[1].startswith("aws")
        and parts[2] == kind
        and all(parts[3:6])
        and (kind != "lambda" or (parts[5] == "function" and len(parts) in (7, 8) and all(parts)))
    )
    if not well_formed:
        raise InvalidArgument("The ARN could not be parsed", ArgumentName=argument, ArgumentValue=arn)


def _filter(element: ElementTree.Element) -> KeyFilter:
    rules: dict[str, str] = {}
    for rule in _rules(element):
        given, value = _text(rule, "Name"), _text(rule, "Value", strip=False)
        name = given.lower()
        if name not in ("prefix", "suffix"):
            raise InvalidArgument(
                "filter rule name must be either prefix or suffix", ArgumentName=given, ArgumentValue=value
            )
        if name in rules:
            raise InvalidArgument(
                f"Cannot specify more than one {name} rule in a filter.",
                ArgumentName="FilterRule.Name",
                ArgumentValue=given,
            )
        if not value:
            raise InvalidArgument("filter value cannot be empty", ArgumentName=name.capitalize(), ArgumentValue=value)
        if len(value.encode()) > RULE_VALUE_LIMIT_BYTES:
            raise InvalidArgument(
                f"Size of filter rule value cannot exceed {RULE_VALUE_LIMIT_BYTES} bytes in UTF-8 representation",
                ArgumentName="FilterRule.Value",
                ArgumentValue=value,
            )
        rules[name] = value
    return KeyFilter(rules.get("prefix"), rules.get("suffix"))


def _rules(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    for outer in (child for child in element if _name(child) == "Filter"):
        for inner in (child for child in outer if _name(child) == "S3Key"):
            yield from (rule for rule in inner if _name(rule) == "FilterRule")


def _refuse_same_ids(targets: list[Target]) -> None:
    seen: set[str] = set()
    for target in targets:
        if target.id in seen:
            raise InvalidArgument(
                "Same ID used for multiple configurations. IDs must be unique.",
                ArgumentName="Id",
                ArgumentValue=target.id,
            )
        seen.add(target.id)


def _refuse_overlaps(targets: list[Target]) -> None:
    """One event may match one configuration only, whatever the kinds of the targets."""
    for index, one in enumerate(targets):
        for other in targets[index + 1 :]:
            pair = shared_events(one.events, other.events)
            if pair is None or not one.filter.overlaps(other.filter):
                continue
            if one.filter.empty and other.filter.empty:
                raise InvalidArgument(
                    "Configurations overlap. Configurations on the same bucket cannot share a common event type.",
                    ArgumentName="Event",
                    ArgumentValue=", ".join(pair),
                )
            raise InvalidArgument(
                "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes "
                "are overlapping for the same event type."
            )


def _target_xml(target: Target) -> str:
    element, arn_element = next((name, arn) for name, (kind, arn, _) in _ELEMENTS.items() if kind == target.kind)
    parts = [f"<Id>{escape(target.id)}</Id>", f"<{arn_element}>{escape(target.arn)}</{arn_element}>"]
    parts += [f"<Event>{event}</Event>" for event in target.events]
    rules = [("Prefix", target.filter.prefix), ("Suffix", target.filter.suffix)]
    xml = "".join(
        f"<FilterRule><Name>{name}</Name><Value>{escape(value)}</Value></FilterRule>"
        for name, value in rules
        if value is not None
    )
    if xml:
        parts.append(f"<Filter><S3Key>{xml}</S3Key></Filter>")
    return f"<{element}>{''.join(parts)}</{element}>"


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str, strip: bool = True) -> str:
    text = next((child.text or "" for child in element if _name(child) == name), "")
    return text.strip() if strip else text


def _malformed() -> MalformedXML:
    return MalformedXML("The XML you provided was not well-formed or did not validate against our published schema")
