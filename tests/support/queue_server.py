"""SQS as far as a sender needs it, over real HTTP, in this process: nothing a node does can lose what it took."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QueueServer:
    """`with QueueServer() as queues`: `queues.endpoint`, and `queues.messages[name]` as they came."""

    def __init__(self, port: int = 0) -> None:
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def arn(self, name: str) -> str:
        return f"arn:aws:sqs:us-east-1:000000000000:{name}"

    def bodies(self, name: str) -> list[Any]:
        return [json.loads(message["MessageBody"]) for message in self.messages.get(name, [])]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        messages = self.messages

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer: dict[str, Any] = {"MessageId": "m"}
                if self.headers["x-amz-target"] == "AmazonSQS.GetQueueUrl":
                    answer = {"QueueUrl": f"http://queues/{asked['QueueName']}"}
                else:
                    messages.setdefault(asked["QueueUrl"].rpartition("/")[2], []).append(asked)
                content = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
