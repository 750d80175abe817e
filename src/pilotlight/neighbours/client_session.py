"""The aiohttp session every connection to a neighbour is made with: it changes nothing that passes through it."""

from __future__ import annotations

import aiohttp

CONNECT_LIMIT_S = 10.0
HEADER_LIMIT_BYTES = 1 << 17


def client_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """A session that passes on what it is given: no cookies, no redirects followed, no decompression, no proxies."""
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT_S),
        read_bufsize=1 << 18,
        max_line_size=HEADER_LIMIT_BYTES,
        max_field_size=HEADER_LIMIT_BYTES,
    )
