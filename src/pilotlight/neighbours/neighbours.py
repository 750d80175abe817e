"""The room's door: forwarding for clients, and the node's own calls to the services next door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote
from xml.etree import ElementTree

import aiohttp

from pilotlight.errors import AccessDeniedException, InvalidParameterValueException, ServiceUnavailableException
from pilotlight.neighbours.connections import Connections
from pilotlight.neighbours.embedded import Embedded
from pilotlight.neighbours.forward import Forward, Scope, Send, Tap
from pilotlight.neighbours.request_body import Receive
from pilotlight.neighbours.routing import KeyPair, Routing
from pilotlight.neighbours.signing import signed_headers
from pilotlight.settings import Settings
from pilotlight.wire.messages import WireResponse
from pilotlight.wire.s3_address import object_path

#: to a backend that checks no signatures: it still reads service and region from one
_ANY_KEYS = KeyPair("pilotlight", "pilotlight")


class Neighbours:
    """One per node. `use_tap` before the first request; `stop` ends the embedded process.

    Raises SettingsError when an endpoint in the settings is not a URL.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._routing = Routing(settings)
        self._embedded = Embedded(settings.data_path, settings.account_id, self._embedded_started)
        self._connections = Connections(self._embedded)
        self._forward = Forward(self._routing, self._connections, settings.allowed_hosts)

    @property
    def embedded(self) -> Embedded:
        return self._embedded

    def use_tap(self, tap: Tap) -> None:
        """Have every S3 request pass `tap`."""
        self._forward.tap = tap

    async def _embedded_started(self) -> None:
        if self._forward.tap is not None:
            await self._forward.tap.embedded_started()

    async def forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI; `scope["pilotlight"]` is a Destination."""
        await self._forward(scope, receive, send)

    async def stop(self) -> None:
        await self._connections.close()
        await self._embedded.stop()

    def has(self, service: str) -> bool:
        """Whether the service, by its signing name, can be asked at all."""
        return self._routing.has(service)

    def is_embedded(self, service: str) -> bool:
        """Whether the service is the embedded one, whose contents end with the node."""
        return self._routing.has(service) and self._routing.endpoint(service).embedded

    def describe(self) -> list[str]:
        """Sentences for the start banner and `doctor`; never credentials."""
        sentences = [
            f"{service}: {self._routing.endpoint(service).name}" for service in sorted(self._settings.endpoints)
        ]
        others = "Other AWS services" if sentences else "S3, SQS, DynamoDB and the other AWS services"
        if self._settings.neighbours:
            sentences.append(
                f"{others} are embedded (moto) and in memory: what they hold is gone when the node stops, "
                "and with the buckets go their notification settings."
            )
        else:
            sentences.append(f"{others} are off (neighbours = false): set endpoints to reach them.")
        return sentences

    async def request(
        self,
        service: str,
        account: str,
        region: str,
        method: str,
        raw_path: str,
        *,
        query_string: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> WireResponse:
        """The node's own call, signed; the answer whole, header names in lower case.

        Raises ServiceUnavailableException when the service cannot be reached.
        """
        response = await self._open(service, account, region, method, raw_path, query_string, headers or {}, body)
        async with response:
            try:
                content = await response.read()
            except aiohttp.ClientError as error:
                raise ServiceUnavailableException(f'The service "{service}" broke off its answer: {error}') from error
            return WireResponse(
                response.status, {name.lower(): value for name, value in response.headers.items()}, content
            )

    async def code_from_s3(
        self, account: str, region: str, bucket: str, key: str, version: str | None
    ) -> AsyncIterator[bytes]:
        """The object a function's code is in, piece by piece.

        Raises InvalidParameterValueException or AccessDeniedException in Lambda's words when S3 does not give it.
        """
        path = object_path(bucket, key)
        query = f"versionId={quote(version, safe='-_.~')}" if version else ""
        try:
            response = await self._open("s3", account, region, "GET", path, query, {}, b"")
            async with response:
                if response.status != 200:
                    code, message = s3_error(response.status, await response.read())
                    if code == "AccessDenied":
                        raise AccessDeniedException(
                            "Your access has been denied by S3, please make sure your request credentials have "
                            f"permission to GetObject for {bucket}/{key}. "
                            f"S3 Error Code: {code}. S3 Error Message: {message}"
                        )
                    raise InvalidParameterValueException(
                        f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
                    )
                async for piece in response.content.iter_any():
                    yield piece
        except (ServiceUnavailableException, aiohttp.ClientError) as error:
            raise InvalidParameterValueException(
                f"Error occurred while GetObject. S3 Error Code: ServiceUnavailable. S3 Error Message: {error}"
            ) from error

    async def _open(
        self,
        service: str,
        account: str,
        region: str,
        method: str,
        raw_path: str,
        query_string: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> aiohttp.ClientResponse:
        endpoint = self._routing.endpoint(service)
        fields = {name.lower(): value for name, value in headers.items()}
        host = "localhost" if endpoint.embedded else endpoint.authority
        keys = endpoint.keys or (None if service == "s3" and not endpoint.embedded else _ANY_KEYS)
        if keys is not None:
            fields = signed_headers(
                keys=keys,
                service=service,
                region=region,
                method=method,
                host=host,
                raw_path=endpoint.prefix + raw_path,
                query_string=query_string,
                headers=fields,
                payload=body,
            )
        if endpoint.embedded:
            fields["x-moto-account-id"] = account
        return await self._connections.send(endpoint, method, raw_path, query_string, fields, body)


def s3_error(status: int, body: bytes) -> tuple[str, str]:
    """Code and message of an S3 error; made up from the status when the body is none of S3's."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return f"Http{status}", f"The S3 server answered {status}."
    namespace = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    code = root.findtext(f"{namespace}Code") or f"Http{status}"
    return code, root.findtext(f"{namespace}Message") or f"The S3 server answered {status}."
