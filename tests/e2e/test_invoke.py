"""Functions run end to end through boto3: answers, contexts, logs, reuse, concurrency, versions, updates."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import re

import pytest
from botocore.exceptions import ClientError

from tests.e2e.functions import create, health, invoke
from tests.support import NodeProcess, eventually, make_zip

ECHO = "def handler(event, context):\n    return event\n"


def test_event_and_answer(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, ECHO)
    for event in ({"a": [1, 2.5, None, True, "ü"]}, [], "text", 7, None):
        assert invoke(client, unique_name, event) == event
    answer = client.invoke(FunctionName=unique_name)
    assert json.loads(answer["Payload"].read()) == {}, "no payload is an empty object"
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer


def test_context_and_environment(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(
        client,
        unique_name,
        "import os\n"
        "def handler(event, c):\n"
        "    return dict(name=c.function_name, version=c.function_version, arn=c.invoked_function_arn,\n"
        "        memory=c.memory_limit_in_mb, id=c.aws_request_id, group=c.log_group_name,\n"
        "        stream=c.log_stream_name, left=c.get_remaining_time_in_millis(), custom=c.client_context.custom,\n"
        "        environ=dict(os.environ), cwd=os.getcwd())\n",
        MemorySize=256,
        Timeout=7,
        Environment={"Variables": {"COLOUR": "blue"}},
    )
    client_context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    answer = client.invoke(FunctionName=unique_name, ClientContext=client_context)
    seen = json.loads(answer["Payload"].read())
    assert seen["name"] == unique_name
    assert seen["version"] == "$LATEST"
    assert seen["arn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{unique_name}"
    assert seen["memory"] == "256"
    assert seen["id"] == answer["ResponseMetadata"]["RequestId"]
    assert seen["group"] == f"/aws/lambda/{unique_name}"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen["stream"])
    assert 6000 < seen["left"] <= 7000
    assert seen["custom"] == {"k": "v"}
    environ = seen["environ"]
    assert environ["COLOUR"] == "blue"
    assert environ["_HANDLER"] == "app.handler"
    assert environ["AWS_REGION"] == environ["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environ["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.11"
    assert environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert environ["TZ"] == ":UTC"
    assert (environ["PWD"], environ["SHLVL"]) == ("/var/task", "0")
    assert environ["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environ["LAMBDA_TASK_ROOT"] == seen["cwd"]
    assert re.fullmatch(
        r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=1:[0-9a-f]{8}:0",
        environ["_X_AMZN_TRACE_ID"],
    )
    assert not {name for name in environ if name.startswith(("PILOTLIGHT", "VIRTUAL_ENV"))}


def test_an_environment_is_reused_and_its_state_kept(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    return n\n")
    assert [invoke(client, unique_name) for _ in range(5)] == [1, 2, 3, 4, 5]


def test_concurrent_calls_have_environments_of_their_own(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(
        client,
        unique_name,
        "import os, random, secrets, ssl, time, uuid\n"
        "def handler(event, context):\n"
        "    time.sleep(0.3)\n"
        "    return [random.random(), secrets.token_hex(8), ssl.RAND_bytes(8).hex(), str(uuid.uuid4()),\n"
        "            context.log_stream_name]\n",
    )
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: invoke(client, unique_name), range(8)))
    for values in zip(*answers, strict=True):
        assert len(set(values)) == 8, "two environments share randomness, or an environment served two at once"


def test_log_tail(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(
        client,
        unique_name,
        "import logging\n"
        "def handler(event, context):\n"
        "    print('printed')\n"
        "    logging.getLogger().warning('two\\nlines')\n"
        "    print('x' * event)\n",
    )
    answer = client.invoke(FunctionName=unique_name, Payload=b"3", LogType="Tail")
    text = base64.b64decode(answer["LogResult"]).decode()
    request_id = answer["ResponseMetadata"]["RequestId"]
    init_start, *lines = text.splitlines()
    assert init_start.startswith("INIT_START Runtime Version: python:3.")
    assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[1] == "printed"
    assert lines[2].startswith("[WARNING]\t") and lines[2].endswith(f"\t{request_id}\ttwo")
    assert lines[3:5] == ["lines", "xxx"] or lines[3:6] == ["lines", "", "xxx"]
    assert f"END RequestId: {request_id}" in lines
    report = lines[-1]
    assert re.fullmatch(
        rf"REPORT RequestId: {request_id}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB"
        r"\tMax Memory Used: \d+ MB\tInit Duration: \d+\.\d\d ms\t?",
        report,
    )
    warm = client.invoke(FunctionName=unique_name, Payload=b"3", LogType="Tail")
    assert "Init Duration" not in base64.b64decode(warm["LogResult"]).decode()
    long = client.invoke(FunctionName=unique_name, Payload=b"9000", LogType="Tail")
    assert len(base64.b64decode(long["LogResult"])) == 4096
    assert "LogResult" not in client.invoke(FunctionName=unique_name, Payload=b"3")


def test_dry_run_runs_nothing(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n\n")
    answer = client.invoke(FunctionName=unique_name, InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    assert invoke(client, unique_name) == 1
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName=unique_name + "-not", InvocationType="DryRun")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_names_and_arns(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    return c.invoked_function_arn\n", Publish=True)
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{unique_name}"
    forms = [unique_name, f"function:{unique_name}", f"000000000000:{unique_name}"]
    forms += [f"000000000000:function:{unique_name}", f"us-east-1:000000000000:function:{unique_name}", arn]
    assert [invoke(client, form) for form in forms] == [arn] * 6
    assert [invoke(client, f"{form}:1") for form in forms] == [f"{arn}:1"] * 6
    assert invoke(client, unique_name, Qualifier="1") == f"{arn}:1"
    assert invoke(client, unique_name, Qualifier="$LATEST") == f"{arn}:$LATEST"
    with pytest.raises(ClientError) as caught:
        invoke(client, f"{arn}:7")
    assert caught.value.response["Error"] == {
        "Code": "ResourceNotFoundException",
        "Message": f"Function not found: {arn}:7",
    } | {"Message": caught.value.response["Error"]["Message"]}
    assert f"{arn}:7" in caught.value.response["Error"]["Message"]


def test_a_version_stays_as_it_was_published(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    return 'old'\n", Publish=True)
    client.update_function_code(FunctionName=unique_name, ZipFile=make_zip("def handler(e, c):\n    return 'new'\n"))
    client.get_waiter("function_updated_v2").wait(FunctionName=unique_name, WaiterConfig={"Delay": 0.05})
    assert invoke(client, unique_name) == "new"
    assert invoke(client, unique_name, Qualifier="1") == "old"


def test_an_update_replaces_warm_environments(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "import os\ndef handler(e, c):\n    return os.environ.get('MODE')\n")
    assert invoke(client, unique_name) is None
    client.update_function_configuration(FunctionName=unique_name, Environment={"Variables": {"MODE": "fast"}})
    client.get_waiter("function_updated_v2").wait(FunctionName=unique_name, WaiterConfig={"Delay": 0.05})
    assert invoke(client, unique_name) == "fast"


def test_what_is_no_change_of_the_function_keeps_it_warm(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    arn = create(client, unique_name, "n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n\n")[
        "FunctionArn"
    ]
    assert invoke(client, unique_name) == 1
    client.tag_resource(Resource=arn, Tags={"team": "a"})
    client.add_permission(
        FunctionName=unique_name, StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com"
    )
    client.publish_version(FunctionName=unique_name)
    assert invoke(client, unique_name) == 2


def test_a_deleted_function_is_gone(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, ECHO)
    invoke(client, unique_name)
    client.delete_function(FunctionName=unique_name)
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName=unique_name)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_regions_and_accounts_keep_apart(node: NodeProcess, unique_name: str) -> None:
    here, there = node.client("lambda"), node.client("lambda", region="eu-central-1")
    other = node.client("lambda", aws_access_key_id="111122223333")
    source = (
        "import os\ndef handler(e, c):\n    return [os.environ['AWS_REGION'], c.invoked_function_arn.split(':')[4]]\n"
    )
    for client in (here, there, other):
        create(client, unique_name, source)
    assert invoke(here, unique_name) == ["us-east-1", "000000000000"]
    assert invoke(there, unique_name) == ["eu-central-1", "000000000000"]
    assert invoke(other, unique_name) == ["us-east-1", "111122223333"]
    here.delete_function(FunctionName=unique_name)
    assert invoke(there, unique_name) == ["eu-central-1", "000000000000"]


def test_a_pending_function_refuses_and_a_waiter_sees_it_settle(unique_name: str) -> None:
    from tests.support import node_process

    with node_process(state_delay_ms=400) as slow:
        client = slow.client("lambda")
        members = {"Runtime": "python3.11", "Role": "arn:aws:iam::000000000000:role/r", "Handler": "app.handler"}
        made = client.create_function(FunctionName=unique_name, Code={"ZipFile": make_zip(ECHO)}, **members)
        assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
        with pytest.raises(ClientError) as caught:
            client.invoke(FunctionName=unique_name)
        assert caught.value.response["Error"]["Code"] == "ResourceConflictException"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
        client.get_waiter("function_active_v2").wait(FunctionName=unique_name, WaiterConfig={"Delay": 0.05})
        assert invoke(client, unique_name, 1) == 1


def test_a_client_that_leaves_does_not_stop_the_function(node: NodeProcess, unique_name: str) -> None:
    import socket

    client = node.client("lambda")
    create(
        client,
        unique_name,
        "import time\nran = []\n"
        "def handler(e, c):\n    if e == 'count':\n        return ran\n    time.sleep(0.3)\n    ran.append(e)\n",
    )
    invoke(client, unique_name, "count")
    with socket.create_connection(("127.0.0.1", node.port)) as leaving:
        request = f"POST /2015-03-31/functions/{unique_name}/invocations HTTP/1.1\r\nHost: localhost\r\n"
        leaving.sendall(f'{request}Content-Length: 3\r\n\r\n"x"'.encode())
        eventually(lambda: health(node)["concurrentExecutions"] == 1, what="the call is running")
    eventually(lambda: health(node)["concurrentExecutions"] == 0, what="the abandoned call has ended")
    assert invoke(client, unique_name, "count") == ["x"]


def test_many_functions_cold_at_once(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    names = [f"{unique_name}-{n}" for n in range(6)]
    for name in names:
        create(client, name, "import time\ntime.sleep(0.5)\ndef handler(e, c):\n    return c.function_name\n")
    import time

    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        assert list(threads.map(lambda name: invoke(client, name), names)) == names
    assert time.monotonic() - started < 6 * 0.5, "cold starts of different functions waited for each other"
