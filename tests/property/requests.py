"""Requests as they go over the wire, and the ways of spoiling one: what no client library would send."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any, NamedTuple

from botocore.model import OperationModel
from hypothesis import strategies as st

from tests.wire import oracle

#: the longest any answer may take, in seconds
DEADLINE_S = 20.0
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0"
)


class Request(NamedTuple):
    method: str
    path: str
    """Percent-encoded."""
    query: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


def written(operation: OperationModel, params: dict[str, Any]) -> Request:
    """As botocore writes it, valid or not."""
    request = oracle.serialize(operation, params, validate=False)
    kept = ("content-type", "accept")
    headers = {k: v for k, v in request.headers.items() if k in kept or k.startswith("x-amz")}
    return Request(request.method, request.raw_path, request.query_string, headers, request.body)


class Sender:
    """One connection, opened again when the server closes it."""

    def __init__(self, port: int, account: str = "test") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        self._authorization = AUTHORIZATION.format(account=account)

    def send(self, request: Request) -> Answer:
        """TimeoutError when no answer comes in time."""
        target = f"{request.path}?{request.query}" if request.query else request.path
        headers = {**request.headers, "Authorization": self._authorization}
        for last in (False, True):
            try:
                self._connection.request(request.method, target, body=request.body, headers=headers)
                response = self._connection.getresponse()
                answered = {name.lower(): value for name, value in response.getheaders()}
                return Answer(response.status, answered, response.read())
            except (http.client.RemoteDisconnected, ConnectionError):
                # A connection may be closed between two requests; one that is closed twice was closed on purpose.
                self._connection.close()
                if last:
                    raise
        raise AssertionError

    def close(self) -> None:
        self._connection.close()


# --- spoiling ---

_ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**400, 0.5, -1e308, "", " ", "x", "x" * 3000, "\x00", "é🔥",
    "\ud800", "${jndi:ldap://x}", "../../etc/passwd", [], [[]], [None], {}, {"x": {}}, [1, "a", None], {"": ""},
]  # fmt: skip
_BODIES = [
    b"", b"{", b"}", b"null", b"[]", b"[{}]", b'"x"', b"1", b"true", b"\xff\xfe", b"{}" * 2, b'{"a": 1,}', b"{'a': 1}",
    b'{"a": NaN}', b'{"FunctionName": "a", "FunctionName": "b"}', b"[" * 5000, b'{"a":' * 5000, b"<xml/>", b"\x00",
    b'{"Tags": {"a": "b"}, "tags": 1}', b'{"":""}', b"\xef\xbb\xbf{}", b'{"Description": "\\ud800"}',
]  # fmt: skip
_LABELS = [
    "%00", "%2F", "..", "%2e%2e", ".", "%ff%fe", "a" * 3000, "%F0%9F%94%A5", "%", "%zz", "+", "%20", "%25", ":",
    "a:b:c",
    "$LATEST", "arn%3Aaws%3Alambda%3A%3A%3Afunction%3A", "*", "~", "%0d%0a", "null", "-1", "0", "9" * 30, "%5B%5D", "'",
]  # fmt: skip
_QUERIES = [
    "Qualifier=", "Qualifier=%ff", "MaxItems=abc", "MaxItems=-1", "MaxItems=0", "MaxItems=99999999999999999999",
    "MaxItems=1.5", "MaxItems=", "Marker=%00", "Marker=x&Marker=y", "a=b&a=b&&&=&", "FunctionName=", "tagKeys=",
    "tagKeys=a&tagKeys=b", "RevisionId=x", "Statuses=RUNNING&Statuses=x", "StartedAfter=yesterday", "%zz=%zz",
    "ReverseOrder=maybe", "IncludeExecutionData=1", "FunctionVersion=all", "find=LayerVersion", "Arn=x", "x" * 3000,
    "CompatibleRuntime=cobol", "StartedAfter=1e400", "Qualifier=1&Qualifier=2",
]  # fmt: skip
_CONTENT_TYPES = [
    "text/plain", "application/xml", "", "application/json; charset=utf-16", "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded", "application/cbor",
]  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn, operation: OperationModel, request: Request) -> Request:
    """`request` with one thing wrong, or two."""
    for _ in range(draw(st.integers(1, 2))):
        request = draw(st.sampled_from(_SPOILERS))(draw, operation, request)
    return request


def _json_value(draw: st.DrawFn, operation: OperationModel, request: Request) -> Request:
    """Another value somewhere in the document, a member gone, or one more."""
    try:
        document = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):  # spoiled already
        return request
    places = [place for place in _places(document, ()) if place]
    what = draw(st.sampled_from(["replace", "remove", "add"]))
    if what == "add" or not places:
        names = [*operation.input_shape.members] if operation.input_shape else []
        if isinstance(document, dict):
            document[draw(st.sampled_from([*names, "Unknown", "", "__proto__", "functionName"]))] = draw(_odd())
    else:
        *path, last = draw(st.sampled_from(places))
        parent = document
        for step in path:
            parent = parent[step]
        if what == "remove":
            del parent[last]
        else:
            parent[last] = draw(_odd())
    return request._replace(body=json.dumps(document).encode())


def _odd() -> st.SearchStrategy[Any]:
    return st.sampled_from(_ODD)


def _places(document: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(place for key, value in inside for place in _places(value, (*path, key)))]


def _body(draw: st.DrawFn, operation: OperationModel, request: Request) -> Request:
    if request.body and draw(st.booleans()):
        return request._replace(body=request.body[: draw(st.integers(0, len(request.body) - 1))])
    return request._replace(body=draw(st.sampled_from(_BODIES)))


def _label(draw: st.DrawFn, operation: OperationModel, request: Request) -> Request:
    template = operation.http["requestUri"].partition("?")[0].split("/")
    labels = [at for at, segment in enumerate(template) if segment.startswith("{")]
    parts = request.path.split("/")
    if not labels or len(parts) != len(template):
        return request
    parts[draw(st.sampled_from(labels))] = draw(st.sampled_from(_LABELS))
    return request._replace(path="/".join(parts))


def _query(draw: st.DrawFn, operation: OperationModel, request: Request) -> Request:
    extra = draw(st.sampled_from(_QUERIES))
    keep = draw(st.booleans()) or "?" in operation.http["requestUri"]
    return request._replace(query=f"{request.query}&{extra}" if keep and request.query else extra)


def _header(draw: st.DrawFn, operation: OperationModel, request: Request) -> Request:
    name = draw(
        st.sampled_from(["Content-Type", "Content-Type", "X-Amz-Invocation-Type", "X-Amz-Log-Type", *_named(operation)])
    )
    values = _CONTENT_TYPES if name == "Content-Type" else ["", "x", "x" * 3000, "\xff", "1", "null"]
    headers = {key: value for key, value in request.headers.items() if key.lower() != name.lower()}
    return request._replace(headers={**headers, name: draw(st.sampled_from(values))})


def _named(operation: OperationModel) -> list[str]:
    members = operation.input_shape.members.values() if operation.input_shape else ()
    serializations = (member.serialization for member in members)
    return [how["name"] for how in serializations if how.get("location") == "header"]


_SPOILERS = [_json_value, _json_value, _json_value, _body, _label, _query, _header]


def path_is_of(operation: OperationModel, request: Request) -> bool:
    """Whether the path, as spoiled, still is the operation's."""
    template = operation.http["requestUri"].partition("?")[0]
    pattern = "".join(
        "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]*\})", template)
    )
    return re.fullmatch(pattern, request.path) is not None
