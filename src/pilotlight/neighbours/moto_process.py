"""The process the embedded neighbours live in: `python -m pilotlight.neighbours.moto_process SOCKET`.

moto's server, on a Unix socket that only the node's user can open, so that no web page and no other user drives it.
It says `ready` on standard output once it listens, and ends when standard input does: the node holds the other end,
so however the node dies, kill -9 included, this process dies with it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any


def main(socket_path: str) -> None:
    threading.Thread(target=_end_with_the_node, daemon=True).start()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class Dispatcher(DomainDispatcherApplication):
        """moto takes `/moto-api` and `/latest/meta-data` for itself; here they are paths like any other, so that no
        client can reset what the others have stored."""

        def get_backend_for_host(self, host: str | None) -> Any:
            return None if host in ("moto_api", "instance_metadata") else super().get_backend_for_host(host)

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    os.umask(0o177)
    server = make_server(
        f"unix://{socket_path}", 0, Dispatcher(create_backend_app), threaded=True, request_handler=MotoRequestHandler
    )
    os.umask(0o077)
    server.socket.listen(1024)
    os.write(1, b"ready\n")
    server.serve_forever()


def _end_with_the_node() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
