"""Takes the framing of `aws-chunked` bodies away: `SIZE[;chunk-signature=..]` CRLF data CRLF ... 0 CRLF trailers.

Only needed where a request is signed anew: the chunk signatures in it were made with the client's key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from pilotlight.errors import IncompleteBody

_LONGEST_LINE = 4096


async def decoded(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data alone. Trailers are left out. Raises IncompleteBody when the framing is broken."""
    buffer = bytearray()
    left_in_chunk = 0
    async for piece in pieces:
        buffer += piece
        while buffer:
            if left_in_chunk > 2:
                data = bytes(buffer[: left_in_chunk - 2])
                del buffer[: len(data)]
                left_in_chunk -= len(data)
                yield data
            elif left_in_chunk:
                line_end = min(left_in_chunk, len(buffer))
                del buffer[:line_end]
                left_in_chunk -= line_end
            else:
                end = buffer.find(b"\r\n")
                if end < 0:
                    if len(buffer) > _LONGEST_LINE:
                        raise IncompleteBody("The chunk header is too long.")
                    break
                size = _size(bytes(buffer[:end]))
                del buffer[: end + 2]
                if size == 0:
                    async for _ in pieces:
                        pass
                    return
                left_in_chunk = size + 2
    raise IncompleteBody("The body ended before its last chunk.")


def _size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0].strip(), 16)
    except ValueError:
        raise IncompleteBody("The chunk header has no size.") from None
