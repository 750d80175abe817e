"""Loops through function URLs, whose clients are no AWS SDK: they are seen when the function passes its trace on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.streams import STREAMS
from tests.e2e.test_function_urls import make
from tests.support import NodeProcess

#: asks at its own URL, and answers how deep it came and what ended it
CALLING_ITSELF = """
import json, os, urllib.error, urllib.request

def handler(event, context):
    asked = json.loads(event["body"])
    url = os.environ["AWS_ENDPOINT_URL"] + asked["path"]
    depth = asked["depth"] + 1
    came = {"depth": depth}
    if depth < 25:
        request = urllib.request.Request(url, json.dumps({**asked, "depth": depth}).encode())
        request.add_header("content-type", "application/json")
        if asked["traced"]:
            request.add_header("X-Amzn-Trace-Id", os.environ["_X_AMZN_TRACE_ID"])
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                came = json.load(answer)
        except urllib.error.HTTPError as error:
            came |= {"status": error.code, "type": error.headers["x-amzn-ErrorType"], "body": json.load(error)}
    return RETURN
"""


@pytest.mark.parametrize("mode", ["BUFFERED", "RESPONSE_STREAM"])
def test_a_function_that_asks_at_its_own_url(node: NodeProcess, unique_name: str, mode: str) -> None:
    streams = mode == "RESPONSE_STREAM"
    source = CALLING_ITSELF.replace("RETURN", "iter([json.dumps(came)])" if streams else "came")
    url = make(node, unique_name, source, url={"InvokeMode": mode}, Timeout=60, **(STREAMS if streams else {}))
    path = f"/_pilotlight/url/{url.host.partition('.')[0]}/"  # in the sandbox no name resolves

    def come(traced: bool) -> Any:
        body = json.dumps({"depth": 0, "traced": traced, "path": path}).encode()
        reply = url.ask("POST", "/", body, content_type="application/json")
        assert reply.status == 200, reply
        return json.loads(reply.body)

    came = come(traced=True)
    assert (came["depth"], came["status"], came["type"]) == (16, 400, "RecursiveInvocationException")
    assert came["body"]["Message"].startswith("Lambda has detected your function being invoked in a recursive loop")
    assert come(traced=False) == {"depth": 25}, "as on AWS: what carries no trace is not seen to loop"
