"""What goes wrong inside a function gets AWS's error, and nothing else is disturbed."""

from __future__ import annotations

import base64
import json
import time

import pytest
from botocore.exceptions import ClientError

from tests.e2e.functions import create, descendants, health, invoke, invoke_failing
from tests.support import NodeProcess, eventually, node_process

COUNTING = "n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n\n"


@pytest.mark.parametrize(
    ("files", "handler", "error_type", "message"),
    [
        (
            {"other.py": ""},
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named",
        ),
        ({"app.py": "x = 1"}, "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ({"app.py": "def handler(:\n"}, "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ({"app.py": "x"}, "app.handler", "NameError", "name 'x' is not defined"),
        ({"app.py": "import nope"}, "app.handler", "Runtime.ImportModuleError", "No module named 'nope'"),
        ({"app.py": ""}, "app", "Runtime.MalformedHandlerName", "Bad handler 'app'"),
    ],
)
def test_code_that_cannot_be_loaded(
    node: NodeProcess, unique_name: str, files: dict[str, str | bytes], handler: str, error_type: str, message: str
) -> None:
    client = node.client("lambda")
    create(client, unique_name, files, Handler=handler)
    for _ in range(2):
        error = invoke_failing(client, unique_name)
        assert error["errorType"] == error_type
        assert message in error["errorMessage"]
    tail = client.invoke(FunctionName=unique_name, LogType="Tail")["LogResult"]
    log = base64.b64decode(tail).decode()
    assert f"Status: error\tError Type: {error_type}" in log
    assert "Max Memory Used: 0 MB" not in log


def test_an_exception_is_the_functions_answer_and_keeps_the_environment(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(
        client,
        unique_name,
        "class Oops(Exception):\n    pass\nn = 0\n"
        "def handler(e, c):\n    global n\n    n += 1\n    if e:\n        raise Oops('no: ' + e)\n    return n\n",
    )
    error = invoke_failing(client, unique_name, "why")
    assert (error["errorType"], error["errorMessage"]) == ("Oops", "no: why")
    assert "app.py" in error["stackTrace"][0]
    assert invoke(client, unique_name) == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys\ndef handler(e, c):\n    sys.exit(3)\n", "Runtime exited with error: exit status 3"),
        ("import os\ndef handler(e, c):\n    os._exit(0)\n", "Runtime exited without providing a reason"),
        (
            "import os, signal\ndef handler(e, c):\n    os.kill(os.getpid(), signal.SIGKILL)\n",
            "Runtime exited with error: signal: killed",
        ),
        (
            "import os, signal\ndef handler(e, c):\n    os.kill(os.getpid(), signal.SIGSEGV)\n",
            "Runtime exited with error: signal: segmentation fault",
        ),
    ],
)
def test_a_runtime_that_dies(node: NodeProcess, unique_name: str, source: str, message: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, source)
    answer = client.invoke(FunctionName=unique_name, LogType="Tail")
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert json.loads(answer["Payload"].read()) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {request_id} Error: {message}",
    }
    assert "Status: error\tError Type: Runtime.ExitError" in base64.b64decode(answer["LogResult"]).decode()


def test_after_a_crash_the_same_slot_starts_anew(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(
        client,
        unique_name,
        "import os\nn = 0\n"
        "def handler(e, c):\n    global n\n    n += 1\n"
        "    if e == 'crash':\n        open('/tmp/kept', 'w').write('yes')\n        os._exit(1)\n"
        "    return [n, os.path.exists('/tmp/kept'), c.log_stream_name]\n",
    )
    _, kept, stream = invoke(client, unique_name)
    assert not kept
    invoke_failing(client, unique_name, "crash")
    assert invoke(client, unique_name) == [1, True, stream], "new process, same /tmp, same environment"


def test_dying_while_idle_is_noticed(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(
        client,
        unique_name,
        "import os, threading\n"
        "def handler(e, c):\n    threading.Timer(0.02, lambda: os._exit(9)).start()\n"
        "    return [os.getpid(), c.log_stream_name]\n",
    )
    before = health(node)["environments"]["resetting"]
    first = invoke(client, unique_name)
    eventually(lambda: health(node)["environments"]["resetting"] == before + 1, what="the death is seen")
    assert invoke(client, unique_name)[1] == first[1], "the next call starts a new process in the same environment"


def test_a_timeout_is_exact_and_kills_only_its_environment(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    other = unique_name + "-other"
    create(client, other, COUNTING)
    assert invoke(client, other) == 1
    create(
        client,
        unique_name,
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "def handler(e, c):\n    print('before')\n    if e:\n        time.sleep(60)\n    return 'quick'\n",
        Timeout=1,
    )
    assert invoke(client, unique_name) == "quick"
    started = time.monotonic()
    answer = client.invoke(FunctionName=unique_name, Payload=b"1", LogType="Tail")
    took = time.monotonic() - started
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert json.loads(answer["Payload"].read()) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after 1.00 seconds",
    }
    assert 1.0 <= took < 1.5
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "before\n" in log
    assert "Status: timeout" in log
    assert invoke(client, unique_name) == "quick"
    assert invoke(client, other) == 2, "another function's environment was untouched"


#: writes frames of its own to the runtime's channel, as no function should
FRAMES = """
import os, struct
def frame(kind, *fields, body=b""):
    head = "\\0".join(fields).encode()
    os.write(3, struct.pack("<IBH", 2 + len(head) + len(body), kind, len(head)) + head + body)
def handler(event, context):
    if event == "twice":
        frame(19, context.aws_request_id, "1", "application/json", body=b'"its own"')
    if event == "another's":
        frame(19, "00000000-0000-4000-8000-000000000000", "1", "application/json", body=b'"not asked for"')
    if event == "nonsense":
        frame(99)
    if event == "huge":
        os.write(3, struct.pack("<IB", 0xFFFFFFFF, 19))
    if event == "chunk":
        frame(22, body=b"of no stream")
    if event == "closed":
        os.close(3)
    if event == "another file":
        os.close(3)
        os.open("/tmp/third", os.O_CREAT | os.O_RDWR)
    if event == "forked" and os.fork() == 0:
        return "from the child"
    if event == "forked":
        os.wait()
    return os.getpid()
"""


def test_an_answer_given_twice_counts_once(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, FRAMES)
    pid = invoke(client, unique_name)
    before = health(node)["environments"]["resetting"]
    assert invoke(client, unique_name, "twice") == "its own"
    eventually(lambda: health(node)["environments"]["resetting"] == before + 1, what="its process is done with")
    assert invoke(client, unique_name) != pid, "a new process, and the second answer is nobody's"


@pytest.mark.parametrize("event", ["another's", "nonsense", "huge", "chunk"])
def test_a_function_that_garbles_the_channel(node: NodeProcess, unique_name: str, event: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, FRAMES)
    pid = invoke(client, unique_name)
    error = invoke_failing(client, unique_name, event)
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith(" Error: Runtime exited with error: signal: killed")
    assert invoke(client, unique_name) != pid


@pytest.mark.parametrize("event", ["closed", "another file"])
def test_a_function_that_closes_the_channel(node: NodeProcess, unique_name: str, event: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, FRAMES)
    answer = client.invoke(FunctionName=unique_name, Payload=json.dumps(event), LogType="Tail")
    error = json.loads(answer["Payload"].read())
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith(" Error: Runtime exited with error: exit status 1")
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "Runtime error: the function closed a file descriptor of the runtime" in log
    assert invoke(client, unique_name)


def test_only_the_invoked_process_answers(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, FRAMES)
    pid = invoke(client, unique_name)
    assert invoke(client, unique_name, "forked") == pid


def test_an_answer_after_the_deadline_is_nobodys(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(
        client,
        unique_name,
        "import threading, time\ndef handler(e, c):\n    if e == 'late':\n        time.sleep(1.02)\n    return e\n",
        Timeout=1,
    )
    assert invoke(client, unique_name, "early") == "early"
    for number in range(3):
        assert invoke_failing(client, unique_name, "late")["errorType"] == "Sandbox.Timedout"
        assert invoke(client, unique_name, number) == number


def test_a_slow_init_is_retried_inside_the_invocation(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(
        client,
        unique_name,
        "import os, time\n"
        "if not os.path.exists('/tmp/been'):\n    open('/tmp/been', 'w').close()\n    os._exit(5)\n"
        "def handler(e, c):\n    return 'second try'\n",
    )
    answer = client.invoke(FunctionName=unique_name, LogType="Tail")
    assert json.loads(answer["Payload"].read()) == "second try"
    assert "Init Duration" not in base64.b64decode(answer["LogResult"]).decode().splitlines()[-1]


def test_a_response_json_cannot_hold(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    return {1, 2}\n")
    error = invoke_failing(client, unique_name)
    assert error["errorType"] == "Runtime.MarshalError"
    assert "Unable to marshal response" in error["errorMessage"]


def test_a_response_over_six_megabytes(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    return 'x' * e\n", Timeout=20)
    assert len(invoke(client, unique_name, 6 * 1024 * 1024 - 2)) == 6 * 1024 * 1024 - 2
    error = invoke_failing(client, unique_name, 6 * 1024 * 1024 + 200)
    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    assert error["errorMessage"] == "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    assert invoke(client, unique_name, 1) == "x"


def test_payload_limits_and_malformed_json(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    return len(e)\n", Timeout=20)
    largest = b'"' + b"x" * (6 * 1024 * 1024 - 2) + b'"'
    answer = client.invoke(FunctionName=unique_name, Payload=largest)
    assert json.loads(answer["Payload"].read()) == 6 * 1024 * 1024 - 2
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName=unique_name, Payload=b'"' + b"x" * (6 * 1024 * 1024) + b'"')
    assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName=unique_name, InvocationType="Event", Payload=b'"' + b"x" * (1024 * 1024) + b'"')
    assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName=unique_name, Payload=b'{"a": ')
    assert caught.value.response["Error"]["Code"] == "InvalidRequestContentException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_hundred_megabytes_of_output(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    other = unique_name + "-other"
    create(client, other, COUNTING)
    create(
        client,
        unique_name,
        "def handler(e, c):\n"
        "    line = 'y' * 99_999\n"
        "    for _ in range(1000):\n        print(line)\n"
        "    print('the last line')\n    return 'done'\n",
        Timeout=60,
    )
    answer = client.invoke(FunctionName=unique_name, LogType="Tail")
    assert json.loads(answer["Payload"].read()) == "done"
    assert "the last line" in base64.b64decode(answer["LogResult"]).decode()
    assert invoke(client, other) == 1


def test_forks_and_a_full_tmp(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(
        client,
        unique_name,
        "import os, time\n"
        "def handler(e, c):\n"
        "    if e == 'fork':\n"
        "        for _ in range(20):\n"
        "            if os.fork() == 0:\n                time.sleep(600)\n                os._exit(0)\n"
        "        return 'forked'\n"
        "    try:\n"
        "        with open('/tmp/full', 'wb') as f:\n"
        "            for _ in range(600):\n                f.write(bytes(1 << 20))\n"
        "    except OSError as error:\n        return error.strerror\n"
        "    finally:\n        os.remove('/tmp/full')\n"
        "    return 'no limit'\n",
        Timeout=60,
        MemorySize=1024,
    )
    assert invoke(client, unique_name, "fork") == "forked"
    assert invoke(client, unique_name, "fill") == "No space left on device"
    assert invoke(client, unique_name, "fork") == "forked"


def test_a_killed_zygote_is_replaced(unique_name: str) -> None:
    import os
    import signal

    with node_process(state_delay_ms=0) as node:
        client = node.client("lambda")
        create(client, unique_name, COUNTING)
        assert invoke(client, unique_name) == 1
        killed = set()
        for pid in descendants(node.pid):
            if b"/var/runtime/bootstrap.py" in _command(pid):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        assert killed
        eventually(lambda: not any(os.path.exists(f"/proc/{pid}/root") and _command(pid) for pid in killed))

        def answers() -> bool:
            answer = client.invoke(FunctionName=unique_name)
            return "FunctionError" not in answer

        eventually(answers, what="the function answers again")


def _command(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""
