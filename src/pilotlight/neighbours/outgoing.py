"""What a client's request becomes on its way to a neighbour: unchanged wherever the backend checks its signature.

Three cases:
- an endpoint without credentials: everything as the client sent it, Host included;
- an endpoint with credentials: the client's signature is taken out and the request signed anew, in path style;
- the embedded one, which checks no signatures: path style, with the account in `x-moto-account-id`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pilotlight.errors import RequestEntityTooLargeException
from pilotlight.neighbours.aws_chunked import decoded
from pilotlight.neighbours.connections import Body
from pilotlight.neighbours.request_body import BodyTooLarge, RequestBody
from pilotlight.neighbours.routing import Endpoint
from pilotlight.neighbours.signing import UNSIGNED_PAYLOAD, signed_headers, without_signature
from pilotlight.wire.messages import WireRequest

#: services other than S3 sign the hash of the body, so it is read whole before it is signed anew
RESIGNED_BODY_LIMIT_BYTES = 64 << 20
_SIGNED_CHUNKS = "STREAMING-AWS4-"


class Outgoing:
    """`prepare` fills in `raw_path`, `query_string`, `headers` and `body`."""

    def __init__(self, request: WireRequest, service: str, endpoint: Endpoint, s3_path: str | None) -> None:
        """`s3_path` is the path in path style for an S3 request, None for others."""
        self._request = request
        self._service = "s3" if s3_path is not None else service
        self._s3_path = s3_path
        self.endpoint = endpoint
        self.method = request.method
        self.raw_path = request.raw_path
        self.query_string = request.query_string
        self.headers: list[tuple[str, str]] = []
        self.body: Body = None

    async def prepare(
        self, raw_headers: Iterable[tuple[bytes, bytes]], body: RequestBody, dropped: Collection[str]
    ) -> None:
        """`dropped` are the header names that belong to the client's connection alone."""
        request = self._request
        tokens = {token.strip().lower() for token in request.headers.get("connection", "").split(",")}
        self.headers = [
            (text, _text(value))
            for name, value in raw_headers
            if (text := name.decode("latin-1").lower()) not in dropped and text not in tokens
        ]
        whole = await body.start()
        if whole is not None:
            self.body = whole
            # Known now, whatever the framing was: backends that want a length get one. It may have been written in.
            if whole and request.headers.get("content-length") != str(len(whole)):
                self.headers = [header for header in self.headers if header[0] != "content-length"]
                self.headers.append(("content-length", str(len(whole))))
        else:
            self.body = body.stream()
        if self.endpoint.embedded:
            self._for_the_embedded()
        elif self.endpoint.keys is not None and not self._is_form_upload():
            await self._sign_anew(body, whole)

    def _is_form_upload(self) -> bool:
        # Signed inside the form: the policy names the key it was signed with, and cannot be signed anew.
        content_type = self._request.headers.get("content-type", "")
        return self._s3_path is not None and content_type.startswith("multipart/form-data")

    def _for_the_embedded(self) -> None:
        if self._s3_path is not None:
            self.raw_path = self._s3_path
        request = self._request
        self.headers = [header for header in self.headers if not header[0].startswith("x-moto-")]
        self.headers.append(("x-moto-account-id", request.account))
        if self._s3_path is None and "authorization" not in request.headers:
            # moto reads service and region from the credential scope; a presigned or unsigned request has none there.
            scope = f"{request.account}/20000101/{request.region}/{self._service}/aws4_request"
            self.headers.append(
                ("authorization", f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")
            )

    async def _sign_anew(self, body: RequestBody, whole: bytes | None) -> None:
        request, keys = self._request, self.endpoint.keys
        assert keys is not None
        headers, self.query_string = without_signature(dict(self.headers), request.query_string)
        payload: bytes | str
        if self._s3_path is not None:
            self.raw_path = self._s3_path
            payload = headers.get("x-amz-content-sha256", UNSIGNED_PAYLOAD)
            if payload.startswith(_SIGNED_CHUNKS):
                payload = UNSIGNED_PAYLOAD
                headers = _without_chunks(headers)
                self.body = decoded(body.stream())
        else:
            if whole is None:
                try:
                    whole = await body.whole(RESIGNED_BODY_LIMIT_BYTES)
                except BodyTooLarge:
                    raise RequestEntityTooLargeException(
                        f"Request must be smaller than {RESIGNED_BODY_LIMIT_BYTES} bytes for {self._service}"
                    ) from None
                self.body = whole
            payload = whole
        headers["host"] = self.endpoint.authority
        self.headers = list(
            signed_headers(
                keys=keys,
                service=self._service,
                region=request.region,
                method=self.method,
                host=self.endpoint.authority,
                raw_path=self.endpoint.prefix + self.raw_path,
                query_string=self.query_string,
                headers=headers,
                payload=payload,
            ).items()
        )


def _without_chunks(headers: dict[str, str]) -> dict[str, str]:
    """The headers of the same body without the aws-chunked framing and its trailers."""
    kept = {name: value for name, value in headers.items() if name not in ("x-amz-trailer", "content-length")}
    if "x-amz-decoded-content-length" in kept:
        kept["content-length"] = kept.pop("x-amz-decoded-content-length")
    encodings = [text.strip() for text in kept.pop("content-encoding", "").split(",")]
    if left := [text for text in encodings if text and text != "aws-chunked"]:
        kept["content-encoding"] = ",".join(left)
    return kept


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
