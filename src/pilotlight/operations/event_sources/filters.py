"""FilterCriteria: how many filters, and whether each pattern is one.

Patterns are EventBridge's, as far as the developer guide's table "Filter rule syntax" goes. Recorded: `null`, a JSON
string, a value that is no list and an empty list are all "Invalid filter pattern definition.".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from pilotlight.errors import InvalidParameterValueException

_NUMERIC = frozenset({"=", "<", "<=", ">", ">="})


def check_filters(criteria: dict[str, Any], most: int) -> None:
    filters: list[dict[str, Any]] = criteria.get("Filters", [])
    if len(filters) > most:
        raise InvalidParameterValueException(f"The number of filters exceeds the limit of {most}.")
    for given in filters:
        if not is_pattern(given.get("Pattern", "")):
            raise InvalidParameterValueException("Invalid filter pattern definition.")


def is_pattern(text: str) -> bool:
    try:
        return _is_object(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError):
        return False


def _is_object(pattern: Any) -> bool:
    if not isinstance(pattern, dict) or not pattern:
        return False
    members = cast("dict[str, Any]", pattern)
    return all(_is_either(value) if name == "$or" else _is_member(value) for name, value in members.items())


def _is_either(alternatives: Any) -> bool:
    items = _items(alternatives)
    return len(items) > 1 and all(_is_object(item) for item in items)


def _is_member(value: Any) -> bool:
    if isinstance(value, list):
        items = _items(cast("list[Any]", value))
        return bool(items) and all(_is_matcher(item) for item in items)
    return _is_object(value)


def _is_matcher(matcher: Any) -> bool:
    if not isinstance(matcher, dict):
        return not isinstance(matcher, list)
    items = list(cast("dict[str, Any]", matcher).items())
    if len(items) != 1:
        return False
    operator, operand = items[0]
    check = _OPERATORS.get(operator)
    return check is not None and check(operand)


def _is_text(operand: Any) -> bool:
    return isinstance(operand, str)


def _is_text_or_case_free(operand: Any) -> bool:
    """`"png"`, or `{"equals-ignore-case": "PNG"}` in its place."""
    if isinstance(operand, dict):
        members = cast("dict[str, Any]", operand)
        return set(members) == {"equals-ignore-case"} and _is_text(members["equals-ignore-case"])
    return _is_text(operand)


def _is_flag(operand: Any) -> bool:
    return isinstance(operand, bool)


def _is_range(operand: Any) -> bool:
    """`[">", 0, "<=", 5]`: one or two comparisons."""
    items = _items(operand)
    return len(items) in (2, 4) and all(
        operator in _NUMERIC and _is_number(bound) for operator, bound in zip(items[::2], items[1::2], strict=True)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_exclusion(operand: Any) -> bool:
    """A value, a list of values, or one matcher of texts."""
    if isinstance(operand, dict):
        members = cast("dict[str, Any]", operand)
        return len(members) == 1 and set(members) <= {"prefix", "suffix", "equals-ignore-case"} and _is_matcher(members)
    items = _items(operand) if isinstance(operand, list) else [operand]
    return bool(items) and all(isinstance(item, str) or _is_number(item) for item in items)


def _items(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


_OPERATORS: dict[str, Callable[[Any], bool]] = {
    "prefix": _is_text_or_case_free,
    "suffix": _is_text_or_case_free,
    "equals-ignore-case": _is_text,
    "exists": _is_flag,
    "numeric": _is_range,
    "anything-but": _is_exclusion,
}
