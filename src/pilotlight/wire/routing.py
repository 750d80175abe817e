"""Which operation a request is for: by method and URI template (`rest-json`), by X-Amz-Target (`json`), by path
(`smithy-rpc-v2-cbor`) or by the form member Action (`query`).

Paths are split before they are percent-decoded, so that an ARN is one segment whether the client wrote its colons raw
or as %3A, and a `/` written as %2F stays inside its label. Literals win over labels, labels over greedy labels
(`{Name+}`), and of two templates with the same path the one whose query literals are all present wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, unquote_plus

import msgspec

from pilotlight.wire.models import Model


class Match(msgspec.Struct, gc=False):
    operation: str
    labels: dict[str, str]
    """By label name, percent-decoded."""


class _Endpoint(msgspec.Struct):
    operation: str
    labels: tuple[str, ...]
    query: tuple[tuple[str, str], ...]


class _Node:
    """One segment deep in the tree of templates."""

    __slots__ = ("endpoints", "greedy", "label", "literals")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.label: _Node | None = None
        self.greedy: _Node | None = None
        self.endpoints: dict[str, list[_Endpoint]] = {}


class RestRouter:
    """Matches method, path and query against every URI template of a model."""

    def __init__(self, model: Model) -> None:
        self._root = _Node()
        for operation, method, uri in model.routes():
            path, _, query = uri.partition("?")
            node, labels = self._root, list[str]()
            for segment in _segments(path):
                if segment.startswith("{"):
                    name = segment.strip("{}")
                    labels.append(name.rstrip("+"))
                    node = _greedy(node) if name.endswith("+") else _label(node)
                else:
                    node = node.literals.setdefault(segment, _Node())
            endpoints = node.endpoints.setdefault(method, [])
            endpoints.append(_Endpoint(operation, tuple(labels), tuple(parse_query(query))))
            endpoints.sort(key=lambda endpoint: -len(endpoint.query))

    def match(self, method: str, raw_path: str, query_string: str = "") -> Match | None:
        values: list[str] = []
        endpoint = self._find(self._root, _segments(raw_path), 0, method, query_string, values)
        if endpoint is None:
            return None
        return Match(endpoint.operation, dict(zip(endpoint.labels, map(unquote, values), strict=True)))

    def _find(
        self, node: _Node, segments: list[str], at: int, method: str, query: str, values: list[str]
    ) -> _Endpoint | None:
        if at == len(segments):
            return _select(node.endpoints.get(method), query)
        segment = segments[at]
        child = node.literals.get(segment)
        if child is not None and (found := self._find(child, segments, at + 1, method, query, values)):
            return found
        if node.label is not None and segment:
            values.append(segment)
            if found := self._find(node.label, segments, at + 1, method, query, values):
                return found
            values.pop()
        if node.greedy is not None:
            for end in range(len(segments), at, -1):
                values.append("/".join(segments[at:end]))
                if found := self._find(node.greedy, segments, end, method, query, values):
                    return found
                values.pop()
        return None


class TargetRouter:
    """Matches `X-Amz-Target: <prefix>.<operation>`."""

    def __init__(self, model: Model) -> None:
        self._targets = {f"{model.target_prefix}.{name}": name for name in model.operation_names}

    def match(self, headers: Mapping[str, str]) -> Match | None:
        operation = self._targets.get(headers.get("x-amz-target", ""))
        return Match(operation, {}) if operation else None


class RpcRouter:
    """Matches `/service/<name>/operation/<operation>`, below any prefix."""

    def __init__(self, model: Model) -> None:
        self._paths = {f"/service/{model.target_prefix}/operation/{name}": name for name in model.operation_names}

    def match(self, raw_path: str) -> Match | None:
        start = raw_path.rfind("/service/")
        operation = self._paths.get(raw_path[start:]) if start >= 0 else None
        return Match(operation, {}) if operation else None


class ActionRouter:
    """Matches `Action=<operation>`, in the body or the query."""

    def __init__(self, model: Model) -> None:
        self._names = frozenset(model.operation_names)

    def match(self, form: str) -> Match | None:
        operation = next((value for name, value in parse_query(form) if name == "Action"), "")
        return Match(operation, {}) if operation in self._names else None


def parse_query(query_string: str) -> list[tuple[str, str]]:
    """Decoded (name, value) pairs in order; a name without `=` has the value ""."""
    if not query_string:
        return []
    pairs: list[tuple[str, str]] = []
    for part in query_string.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((unquote_plus(name), unquote_plus(value)))
    return pairs


def _segments(path: str) -> list[str]:
    """Segments of a path; one trailing slash is ignored, as AWS does (older SDKs send it)."""
    return path.removeprefix("/").removesuffix("/").split("/")


def _select(endpoints: list[_Endpoint] | None, query_string: str) -> _Endpoint | None:
    if not endpoints:
        return None
    first = endpoints[0]
    if not first.query:
        return first
    given = parse_query(query_string)
    return next((endpoint for endpoint in endpoints if all(pair in given for pair in endpoint.query)), None)


def _label(node: _Node) -> _Node:
    node.label = node.label or _Node()
    return node.label


def _greedy(node: _Node) -> _Node:
    node.greedy = node.greedy or _Node()
    return node.greedy
