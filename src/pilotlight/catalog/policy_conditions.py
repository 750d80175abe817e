"""The conditions of a policy statement, judged on what is known of a request.

Three answers: met, not met, and "cannot be judged here", for operators and keys this file does not know and for policy
variables. Whoever asks decides what that means: an Allow does not apply then, a Deny does. Source: IAM user guide,
"IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

#: in lower case; those of the request's context that are missing there are known to be missing
KNOWN_KEYS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:sourceaccount",
        "aws:sourcearn",
        "lambda:eventsourcetoken",
        "lambda:functionurlauthtype",
        "lambda:invokedviafunctionurl",
    }
)


def met(condition: object, context: Mapping[str, str]) -> bool | None:
    """Whether all of a statement's Condition holds; None when that cannot be judged. `context` has its keys in lower
    case."""
    if not isinstance(condition, dict):
        return None
    answers: list[bool | None] = []
    for operator, tests in cast("dict[str, Any]", condition).items():
        if not isinstance(tests, dict):
            return None
        for key, wanted in cast("dict[str, Any]", tests).items():
            answers.append(_judge(operator, key.lower(), texts(wanted), context))
    if False in answers:
        return False
    return None if None in answers else True


def texts(value: object) -> tuple[str, ...]:
    """A value or a list of them, as IAM reads them: true and 1 are "true" and "1"."""
    values = cast("list[Any]", value) if isinstance(value, list) else [value]
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values)


def _judge(operator: str, key: str, wanted: tuple[str, ...], context: Mapping[str, str]) -> bool | None:
    if key not in KNOWN_KEYS or any("${" in value for value in wanted):
        return None
    actual = context.get(key)
    if operator == "Null":
        return ("true" if actual is None else "false") in (value.lower() for value in wanted)
    name = operator.removesuffix("IfExists")
    compare, negated = _OPERATORS.get(name, (None, False))
    if compare is None:
        return None
    if actual is None:
        return negated or name != operator
    return any(compare(value, actual) for value in wanted) != negated


def glob_like(pattern: str, text: str) -> bool:
    """`*` and `?` stand for anything, separators included."""
    return _glob(pattern).fullmatch(text) is not None


def arn_like(pattern: str, arn: str) -> bool:
    """IAM's ArnLike: the six parts between colons matched one by one; `*` and `?` stay within their part.

    Only the last part may itself hold colons.
    """
    wanted, given = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(given) and all(glob_like(part, text) for part, text in zip(wanted, given, strict=True))


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    """Atomic groups, one for each `*` but the last: what comes next is looked for once, so that no pattern, however
    many stars it has, takes longer than its length times the text's."""
    first, *rest = ["".join("." if one == "?" else re.escape(one) for one in part) for part in pattern.split("*")]
    between = "".join(f"(?>.*?{part})" for part in rest[:-1])
    last = f".*{rest[-1]}" if rest else ""
    return re.compile(f"{first}{between}{last}", re.DOTALL)


def _equal(wanted: str, actual: str) -> bool:
    return wanted == actual


def _equal_in_any_case(wanted: str, actual: str) -> bool:
    return wanted.lower() == actual.lower()


#: operator -> how it compares, and whether it holds when that does not
_OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_equal_in_any_case, False),
    "StringNotEqualsIgnoreCase": (_equal_in_any_case, True),
    "StringLike": (glob_like, False),
    "StringNotLike": (glob_like, True),
    "ArnEquals": (arn_like, False),
    "ArnNotEquals": (arn_like, True),
    "ArnLike": (arn_like, False),
    "ArnNotLike": (arn_like, True),
    "Bool": (_equal_in_any_case, False),
}
