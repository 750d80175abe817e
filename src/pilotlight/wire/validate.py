"""The model's constraints, checked on parsed parameters, in the words of AWS's own request validation.

One sentence per broken constraint, joined with "; " behind a count. Member paths are in camel case: `layers.2.member`
inside lists of structures, `tags.KEY.member` inside maps of them. What an element, key or value breaks by itself is
reported once, on its collection, together with everything that is asked of it (AWS: "Member must satisfy constraint:
[...]"). The wording was checked against messages recorded from AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from types import MappingProxyType
from typing import Any, cast

from pilotlight.wire.models import Member, Operation, Shape
from pilotlight.wire.patterns import compile_java

#: AWS reports no more than this many broken constraints at once
REPORT_LIMIT = 10

Check = Callable[[Any, str, list[str]], None]
"""Appends a sentence to the list for each broken constraint of a value at a path."""
_Rule = tuple[Callable[[Any], bool], str]

_NOT_NULL = "Member must not be null"


class OperationValidator:
    """Checks parameters of one operation. `open_enums` names enum shapes whose values are somebody else's to judge;
    `enum_orders` has the values of some in the order they are to be listed in."""

    def __init__(
        self,
        operation: Operation,
        open_enums: frozenset[str] = frozenset(),
        enum_orders: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        checks = _Checks(open_enums, enum_orders)
        self._check = checks.contents(operation.input) if operation.input is not None else None

    def errors(self, params: dict[str, Any]) -> str | None:
        """AWS's message, or None when every constraint holds."""
        if self._check is None:
            return None
        found: list[str] = []
        self._check(params, "", found)
        if not found:
            return None
        return detected(found[:REPORT_LIMIT])


def detected(sentences: Sequence[str]) -> str:
    """The whole message, of a sentence for each broken constraint."""
    return f"{len(sentences)} validation error{'s' if len(sentences) > 1 else ''} detected: {'; '.join(sentences)}"


def refused_value(value: object, member: str, constraint: str) -> str:
    """The message about one value (as it is to be shown) of a member with the name it has in requests."""
    return detected([_refusal(f" '{value}'", lower_first(member), constraint)])


class _Checks:
    """Builds one function per shape; None stands for "nothing to check"."""

    def __init__(self, open_enums: frozenset[str], enum_orders: Mapping[str, tuple[str, ...]]) -> None:
        self._open_enums = open_enums
        self._enum_orders = enum_orders
        self._contents: dict[str, Check | None] = {}

    def contents(self, shape: Shape) -> Check | None:
        """What is inside a structure, list or map; a scalar has nothing inside."""
        if shape.type not in ("structure", "list", "map"):
            return None
        if shape.name not in self._contents:
            # Stands in while a shape that contains itself is being built.
            def again(value: Any, path: str, found: list[str]) -> None:
                check = self._contents[shape.name]
                if check is not None:
                    check(value, path, found)

            self._contents[shape.name] = again
            build = {"structure": self._structure, "list": self._list, "map": self._map}[shape.type]
            self._contents[shape.name] = build(shape)
        return self._contents[shape.name]

    def rules(self, shape: Shape) -> list[_Rule]:
        """What is asked of a value itself, in the order AWS lists it."""
        rules: list[_Rule] = []
        if shape.type in ("string", "blob", "list", "map"):
            if shape.maximum is not None:
                rules.append(_length_at_most(int(shape.maximum)))
            if shape.minimum is not None:
                rules.append(_length_at_least(int(shape.minimum)))
        elif shape.type in ("integer", "long", "double", "float"):
            if shape.maximum is not None:
                rules.append(_value_at_most(_bound(shape, shape.maximum)))
            if shape.minimum is not None:
                rules.append(_value_at_least(_bound(shape, shape.minimum)))
        if shape.pattern is not None and shape.type == "string":
            rules.append(_matches(shape.pattern))
        if shape.enum and shape.name not in self._open_enums:
            rules.append(_one_of(self._enum_orders.get(shape.name, shape.enum)))
        return rules

    def _structure(self, shape: Shape) -> Check | None:
        plans: list[tuple[str, str, bool, Shape, list[_Rule], Check | None]] = []
        for name, member in shape.members.items():
            plan = (
                name,
                lower_first(name),
                name in shape.required and member.location != "statusCode",
                member.shape,
                self.rules(member.shape),
                self.contents(member.shape),
            )
            if plan[2] or plan[4] or plan[5]:
                plans.append(plan)
        if not plans:
            return None

        def check(value: Any, path: str, found: list[str]) -> None:
            for name, label, required, member_shape, rules, inside in plans:
                item = value.get(name)
                if item is None:
                    if required:
                        found.append(_sentence(None, member_shape, path + label, _NOT_NULL))
                    continue
                for holds, message in rules:
                    if not holds(item):
                        found.append(_sentence(item, member_shape, path + label, message))
                if inside is not None:
                    inside(item, f"{path}{label}.", found)

        return check

    def _list(self, shape: Shape) -> Check | None:
        assert shape.element is not None
        broken = self._parts_broken(shape.element, "Member must satisfy constraint")
        inside = self.contents(shape.element.shape)

        def check(value: Any, path: str, found: list[str]) -> None:
            if (message := broken(value)) is not None:
                found.append(_sentence(value, shape, path[:-1], message))
            if inside is not None:
                for index, item in enumerate(value, 1):
                    if item is not None:
                        inside(item, f"{path}{index}.member.", found)

        return check

    def _map(self, shape: Shape) -> Check | None:
        assert shape.key is not None and shape.value is not None
        broken_keys = self._parts_broken(shape.key, "Map keys must satisfy constraint")
        broken_values = self._parts_broken(shape.value, "Map value must satisfy constraint")
        inside = self.contents(shape.value.shape)

        def check(value: Any, path: str, found: list[str]) -> None:
            for message in (broken_keys(value), broken_values(value.values())):
                if message is not None:
                    found.append(_sentence(value, shape, path[:-1], message))
            if inside is not None:
                for key, item in value.items():
                    if item is not None:
                        inside(item, f"{path}{key}.member.", found)

        return check

    def _parts_broken(self, part: Member, head: str) -> Callable[[Any], str | None]:
        """For the elements, keys or values of a collection: the message when any of them breaks any rule."""
        rules = self.rules(part.shape)
        message = f"{head}: [{', '.join([*(text for _, text in rules), _NOT_NULL])}]"
        tests = [holds for holds, _ in rules]

        def broken(parts: Any) -> str | None:
            for item in parts:
                if item is None:
                    return message
                for holds in tests:
                    if not holds(item):
                        return message
            return None

        return broken


def lower_first(name: str) -> str:
    """`FunctionName` -> `functionName`, `KMSKeyArn` -> `kMSKeyArn`: as AWS's framework does, the first letter only."""
    return name[:1].lower() + name[1:]


# --- rules: what holds, and what to say when it does not ---


def _length_at_most(limit: int) -> _Rule:
    return lambda value: len(cast(Sized, value)) <= limit, f"Member must have length less than or equal to {limit}"


def _length_at_least(limit: int) -> _Rule:
    return lambda value: len(cast(Sized, value)) >= limit, f"Member must have length greater than or equal to {limit}"


def _value_at_most(limit: int | float) -> _Rule:
    return lambda value: value <= limit, f"Member must have value less than or equal to {limit}"


def _value_at_least(limit: int | float) -> _Rule:
    return lambda value: value >= limit, f"Member must have value greater than or equal to {limit}"


def _one_of(values: tuple[str, ...]) -> _Rule:
    allowed = frozenset(values)
    return lambda value: value in allowed, f"Member must satisfy enum value set: [{', '.join(values)}]"


def _matches(pattern: str) -> _Rule:
    def holds(value: Any) -> bool:
        compiled = compile_java(pattern)  # at first use: many patterns of a model are never needed
        return compiled is None or compiled.fullmatch(value) is not None

    return holds, f"Member must satisfy regular expression pattern: {pattern}"


def _bound(shape: Shape, limit: int | float) -> int | float:
    return float(limit) if shape.type in ("double", "float") else int(limit)


# --- how a refused value is shown ---


def _sentence(value: Any, shape: Shape, path: str, message: str) -> str:
    shown = " null" if value is None else "" if _hidden(shape, set()) else f" '{_echo(value, shape)}'"
    return _refusal(shown, path, message)


def _refusal(shown: str, path: str, constraint: str) -> str:
    return f"Value{shown} at '{path}' failed to satisfy constraint: {constraint}"


def _hidden(shape: Shape, seen: set[str]) -> bool:
    """Whether any part of the value is sensitive: then none of it is echoed."""
    if shape.sensitive:
        return True
    if shape.name in seen:
        return False
    seen.add(shape.name)
    parts = [member.shape for member in shape.members.values()]
    parts += [part.shape for part in (shape.element, shape.key, shape.value) if part is not None]
    return any(_hidden(part, seen) for part in parts)


def _echo(value: Any, shape: Shape) -> str:
    """As Java's toString shows it: `[a, b]`, `{k=v}`, `Tag(Key=a, Value=b)`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if shape.type == "structure":
        parts = (f"{name}={_echo(item, shape.members[name].shape)}" for name, item in value.items())
        return f"{shape.name}({', '.join(parts)})"
    if shape.type == "list" and shape.element is not None:
        element = shape.element.shape
        return f"[{', '.join(_echo(item, element) for item in value)}]"
    if shape.type == "map" and shape.value is not None:
        part = shape.value.shape
        return "{" + ", ".join(f"{key}={_echo(item, part)}" for key, item in value.items()) + "}"
    return str(value)
