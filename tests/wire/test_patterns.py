"""Java's regular expressions in Python: every pattern of the services we serve, and each difference by itself."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest

from pilotlight.wire.models import Shape, load_model
from pilotlight.wire.patterns import compile_java

SERVICES = ("lambda", "logs", "lambda-core", "events", "scheduler")


def _patterns(service: str) -> set[str]:
    model = load_model(service)
    found: set[str] = set()
    seen: set[str] = set()

    def walk(shape: Shape | None) -> None:
        if shape is None or shape.name in seen:
            return
        seen.add(shape.name)
        if shape.pattern is not None:
            found.add(shape.pattern)
        for member in [*shape.members.values(), shape.element, shape.key, shape.value]:
            walk(member.shape if member else None)

    for name in model.operation_names:
        walk(model.operation(name).input)
        walk(model.operation(name).output)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_every_pattern_of_the_services_translates(service: str) -> None:
    patterns = _patterns(service)
    assert patterns
    assert [pattern for pattern in patterns if compile_java(pattern) is None] == []


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[a-zA-Z0-9-_]+", ["a-b_c", "-"], ["a.b", "", "é"]),
        (r"[\w-_]*", ["a-b_c", ""], ["a.b", "é"]),
        (r"[\w_-]*", ["a-b"], ["a b"]),
        (r"\d{12}", ["123456789012"], ["١٢٣٤٥٦٧٨٩٠١٢", "123456789012\n", "1234567890123"]),
        (r"^\d{2}$", ["12"], ["12\n"]),
        (r"[^\s]+", ["a\xa0b"], ["a b", "a\tb"]),
        (r"\S{2}", ["ab", "a\xa0"], ["a "]),
        (r".*", ["anything", ""], ["a\nb", "a\r", "a\u2028", "a\x85"]),
        (r"[\s\S]*", ["a\nb\u2028"], []),
        (r"[\D]+", ["a٣"], ["1"]),
        (r"[^\W]+", ["aZ_9"], ["é", "["]),
        (r"[.]", ["."], ["a"]),
        (r"[\x21-\x7E]+", ["!~"], [" ", "é"]),
        (r"[^ /\.$\x22]*", ["ab"], ['a"b', "a/b", "a$"]),
        (r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)", ["v1", "a"], ["12"]),
        (r"[0-9A-Za-z\.\-_]*(?<!\.)", ["a.b"], ["a."]),
        (r"$|kafka://.+", ["", "kafka://a"], ["b"]),
        (r"[[a]]*", [], []),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", ["Größe 1/2 Ⅷ東", "a\u2003b", "٣"], ["a#b", "a\tb"]),
        (r"[\p{Lu}]+", ["ÄÖ"], ["ä"]),
        (r"\p{Alnum}+", ["aZ9"], ["é"]),
        (r"\P{L}+", ["12"], ["a"]),
        (r"[a-z&&b]", [], []),
    ],
)
def test_what_matches_in_java_matches_here(pattern: str, good: list[str], bad: list[str]) -> None:
    compiled = compile_java(pattern)
    if not good and not bad:
        assert compiled is None
        return
    assert compiled is not None
    assert [text for text in good if not compiled.fullmatch(text)] == []
    assert [text for text in bad if compiled.fullmatch(text)] == []


def test_pythons_word_characters_are_javas_letters_and_numbers() -> None:
    """What the translation of `[\\p{L}\\p{N}_]` rests on, over all of Unicode."""
    word = re.compile(r"\w")
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        assert bool(word.match(char)) == (char == "_" or unicodedata.category(char)[0] in "LN"), hex(code)


def test_a_pattern_that_can_not_be_translated_enforces_nothing() -> None:
    assert compile_java(r"(unclosed") is None
    assert compile_java("a\\") is None
    assert compile_java("[a") is None
    assert compile_java(r"\Gx") is None
