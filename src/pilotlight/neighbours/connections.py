"""HTTP to the services next door: one pool of connections, the embedded process on its socket, failures as AWS errors.

The path and the query go out byte for byte as given. There is no limit on how long a transfer may take, only on
connecting.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from pilotlight.errors import AwsError, ServiceUnavailableException
from pilotlight.neighbours.client_session import client_session
from pilotlight.neighbours.embedded import Embedded
from pilotlight.neighbours.request_body import ClientGone
from pilotlight.neighbours.routing import Endpoint

#: what aiohttp would add of its own accord
_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

Body = bytes | AsyncIterator[bytes] | None


class Connections:
    def __init__(self, embedded: Embedded) -> None:
        self._embedded = embedded
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        raw_path: str,
        query_string: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        body: Body,
    ) -> aiohttp.ClientResponse:
        """Returns at the response's head. The caller closes or reads it to the end.

        Raises ServiceUnavailableException, naming service and endpoint, when there is no answer; and the AwsError or
        ClientGone that an iterator given as `body` raised.
        """
        authority = "localhost" if endpoint.embedded else endpoint.authority
        path = endpoint.prefix + raw_path
        url = URL.build(scheme=endpoint.scheme, authority=authority, path=path, query_string=query_string, encoded=True)
        fields = CIMultiDict(headers)
        try:
            return await self._attempt(endpoint, method, url, fields, body)
        except aiohttp.ClientConnectorError as error:
            # Nothing was sent yet. An embedded process that has just died is replaced; others are simply not there.
            if not endpoint.embedded:
                raise _fault(endpoint, error) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _fault(endpoint, error) from error
        try:
            return await self._attempt(endpoint, method, url, fields, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _fault(endpoint, error) from error

    async def _attempt(
        self, endpoint: Endpoint, method: str, url: URL, headers: CIMultiDict[str], body: Body
    ) -> aiohttp.ClientResponse:
        session = await self._embedded.session() if endpoint.embedded else self._external()
        try:
            return await session.request(
                method, url, headers=headers, data=body or None, allow_redirects=False, skip_auto_headers=_NOT_ADDED
            )
        except aiohttp.ClientConnectorError:
            if endpoint.embedded:
                await self._embedded.lost(session)
            raise

    def _external(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = client_session(aiohttp.TCPConnector(limit=0))
        return self._session

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _fault(endpoint: Endpoint, error: BaseException) -> AwsError | ClientGone:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (AwsError, ClientGone)):
            return cause  # raised by the body's iterator, while aiohttp was sending it
        cause = cause.__cause__
    reason = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or str(error.os_error) or "cannot connect"
    return ServiceUnavailableException(
        f'The service "{endpoint.service}" does not answer at {endpoint.name}: {reason}.'
    )
