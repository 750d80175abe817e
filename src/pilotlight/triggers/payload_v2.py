"""An HTTP request as an event: payload format 2.0, which function URLs and HTTP APIs share.

The event is joined from JSON that is encoded beforehand or piece by piece; what a request never has (a cookie, a
query) costs a test. Members and their order are those of events recorded on AWS: an anonymous caller's has neither
`authorizer` nor `authentication`, nor are there pathParameters and stageVariables. Source: developer guide, "Invoking
Lambda function URLs"; API Gateway developer guide, "AWS Lambda proxy integrations for HTTP APIs".
"""

from __future__ import annotations

import base64
import time
from urllib.parse import unquote_plus

import msgspec

from pilotlight.clock import Clock
from pilotlight.wire.http_messages import Headers, HttpCaller, HttpClient, HttpRequest

#: of the connection, not of the request: RFC 9110, 7.6.1
_HOP_BY_HOP = (
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b"te",
    b"trailer",
    b"upgrade",
    b"expect",
)
#: a content type with one of these in it is text
_TEXT = ("text", "json", "xml", "javascript")
_REMEMBERED_TYPES, _REMEMBERED_LENGTH = 256, 256
#: what is larger is not remembered: it would be kept for every URL
_REMEMBERED_BYTES = 16 * 1024
_NOTHING: tuple[Headers, HttpClient, str] = [], HttpClient("", "", 0), ""

_encode = msgspec.json.Encoder().encode


class EventWriter:
    """Events of one endpoint. `api_id` is its id, `domain` its host name."""

    def __init__(self, clock: Clock, api_id: str, domain: str) -> None:
        self._clock = clock
        names = (
            b'"apiId":%b,' % _encode(api_id),
            b'"domainName":%b,"domainPrefix":%b,"http":{"method":"' % (_encode(domain), _encode(api_id)),
        )
        self._anonymous = b',"requestContext":{"accountId":"anonymous",' + b"".join(names)
        self._names = names
        self._second = 0
        self._time = b""
        self._last = _NOTHING
        """Headers, client and version of HTTP of the request before: clients repeat themselves."""
        self._last_headers = self._last_source = b""
        self._text_types: dict[bytes | None, bool] = {}

    def event(self, request: HttpRequest, body: bytes) -> bytes:
        """The whole event, as JSON."""
        fields = request.fields
        pieces = [
            b'{"version":"2.0","routeKey":"$default","rawPath":',
            path := _encode(request.raw_path),
            b',"rawQueryString":',
            _encode(request.query),
        ]
        if b"cookie" in fields:
            pieces += (b',"cookies":', _encode(_cookies(request.headers)))
        this = request.headers, request.client, request.http_version
        if this != self._last:
            self._last = this
            self._last_headers, self._last_source = self._headers(request), self._source(request)
        pieces += (
            self._last_headers,
            _encode(request.trace_header or f"Root={request.trace_root}"),
        )
        source = self._last_source
        if len(self._last_headers) > _REMEMBERED_BYTES:
            self._last = _NOTHING
            self._last_headers = b""
        if request.query and (parameters := _parameters(request.query)):
            pieces += (b'},"queryStringParameters":', _encode(parameters))
        else:
            pieces.append(b"}")
        now_ms = self._clock.time_ms()
        if now_ms // 1000 != self._second:
            self._second = now_ms // 1000
            self._time = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(self._second)).encode()
        pieces += (
            self._anonymous if request.caller is None else self._signed(request.caller),
            request.method,
            b'","path":',
            path,
            source,
            b'%b","routeKey":"$default","stage":"$default","time":"%b","timeEpoch":%d}'
            % (request.request_id.encode(), self._time, now_ms),
        )
        if not body:
            pieces.append(b',"isBase64Encoded":false}')
        elif (text := self._as_text(fields.get(b"content-type"), body)) is not None:
            pieces += (b',"body":', _encode(text), b',"isBase64Encoded":false}')
        else:
            pieces += (b',"body":"', base64.b64encode(body), b'","isBase64Encoded":true}')
        return b"".join(pieces)

    def _source(self, request: HttpRequest) -> bytes:
        """The rest of `requestContext.http`, and up to the request's id."""
        user_agent = _encode(_text(request.fields.get(b"user-agent", b"")))
        version, ip = request.http_version.encode(), request.client.ip.encode()
        return b',"protocol":"HTTP/%b","sourceIp":"%b","userAgent":%b},"requestId":"' % (version, ip, user_agent)

    def _headers(self, request: HttpRequest) -> bytes:
        """Names in lower case, values of a repeated one joined by commas; and those a proxy adds. Without the last
        one's value, the trace's, which no request shares with another."""
        fields = request.fields
        client = request.client
        try:
            headers = {name.decode(): value.decode() for name, value in fields.items()}
        except UnicodeDecodeError:
            headers = {_text(name): _text(value) for name, value in fields.items()}
        if len(fields) != len(request.headers):
            _join_repeated(headers, request.headers)
        for name in _HOP_BY_HOP:
            if name in fields:
                del headers[name.decode()]
        forwarded = headers.get("x-forwarded-for")
        headers["x-forwarded-for"] = f"{forwarded}, {client.ip}" if forwarded else client.ip
        headers["x-forwarded-port"] = str(client.port)
        headers["x-forwarded-proto"] = client.scheme
        headers.pop("x-amzn-trace-id", None)
        return b',"headers":%b,"x-amzn-trace-id":' % _encode(headers)[:-1]

    def _signed(self, caller: HttpCaller) -> bytes:
        iam = {
            "accessKey": caller.access_key_id,
            "accountId": caller.account,
            "callerId": caller.user_id,
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": caller.arn,
            "userId": caller.user_id,
        }
        account = _encode(caller.account)
        api_id, rest = self._names
        return b',"requestContext":{"accountId":%b,%b"authorizer":{"iam":%b},%b' % (account, api_id, _encode(iam), rest)

    def _as_text(self, content_type: bytes | None, body: bytes) -> str | None:
        """A body whose type is text, when it is text in UTF-8; None for one to be sent in base64."""
        is_text = self._text_types.get(content_type)
        if is_text is None:
            named = (content_type or b"").decode("latin-1").lower()
            is_text = any(word in named for word in _TEXT)
            if len(self._text_types) >= _REMEMBERED_TYPES:
                self._text_types.clear()
            if len(named) <= _REMEMBERED_LENGTH:
                self._text_types[content_type] = is_text
        if not is_text:
            return None
        try:
            return body.decode()
        except UnicodeDecodeError:
            return None


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _join_repeated(headers: dict[str, str], given: Headers) -> None:
    values: dict[bytes, list[bytes]] = {}
    for name, value in given:
        values.setdefault(name, []).append(value)
    for name, several in values.items():
        if len(several) > 1:
            headers[_text(name)] = _text((b"; " if name == b"cookie" else b",").join(several))


def _cookies(headers: Headers) -> list[str]:
    given = [value for name, value in headers if name == b"cookie"]
    return [cookie for value in given for part in value.split(b";") if (cookie := _text(part.strip()))]


def _parameters(query: str) -> dict[str, str]:
    """Decoded; values of a repeated name joined by commas. What is no percent-encoding stays as it is."""
    parameters: dict[str, str] = {}
    for pair in query.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = unquote_plus(name), unquote_plus(value)
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters
