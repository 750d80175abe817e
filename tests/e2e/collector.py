"""A small OpenTelemetry collector: takes OTLP over HTTP in JSON, keeps the spans, and can be told to refuse them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Collector:
    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        """Path, headers and document of each request that was taken."""
        self.refused = 0
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.port = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spans(self) -> list[dict[str, Any]]:
        """Each with its attributes as a plain table, and its resource's under `resource`."""
        found: list[dict[str, Any]] = []
        for _, _, document in self.requests:
            for resource in document["resourceSpans"]:
                of_all = _plain(resource["resource"]["attributes"])
                for scope in resource["scopeSpans"]:
                    assert scope["scope"]["name"] == "pilotlight"
                    for span in scope["spans"]:
                        found.append({**span, "attributes": _plain(span.get("attributes", [])), "resource": of_all})
        return found

    def of(self, trace_id: str) -> dict[str, dict[str, Any]]:
        """The spans of one trace by name."""
        return {span["name"]: span for span in self.spans() if span["traceId"] == trace_id}


@contextmanager
def collector(port: int = 0, into: Collector | None = None) -> Iterator[Collector]:
    kept = into or Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = kept.answer
            if status == 200:
                kept.requests.append((self.path, dict(self.headers.items()), json.loads(body)))
            else:
                kept.refused += 1
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    kept.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()


def _plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for attribute in attributes:
        ((kind, value),) = attribute["value"].items()
        plain[attribute["key"]] = int(value) if kind == "intValue" else value
    return plain
