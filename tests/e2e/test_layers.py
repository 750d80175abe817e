"""Layers at run time: what a function finds under /opt, on its paths, and after the layer has changed or gone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.functions import create, invoke
from tests.operations.errors import refused
from tests.support import NodeProcess, make_zip, node_process


def publish(client: Any, name: str, files: dict[str, str | bytes], *, modes: dict[str, int] | None = None) -> str:
    """A new version of the layer `name`; gives its ARN."""
    published = client.publish_layer_version(LayerName=name, Content={"ZipFile": make_zip(files, modes=modes)})
    return published["LayerVersionArn"]


def use(client: Any, function: str, *layers: str, **members: Any) -> None:
    """Have an existing function use these layers, and wait until it does."""
    client.update_function_configuration(FunctionName=function, Layers=list(layers), **members)
    client.get_waiter("function_updated_v2").wait(FunctionName=function, WaiterConfig={"Delay": 0.05})


def test_imports_and_data_files(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    layer = publish(
        client,
        unique_name,
        {
            "python/greeting.py": "WORDS = 'hello'\n",
            "python/lib/python3.11/site-packages/deep/__init__.py": "DEPTH = 5\n",
            "data/table.csv": "a,b\n1,2\n",
        },
    )
    source = """
import os, sys
import deep, greeting
def handler(event, context):
    path = [place for place in sys.path if not place.startswith(('/var/lang', '/usr'))]
    return [greeting.WORDS, greeting.__file__, deep.DEPTH, open('/opt/data/table.csv').read(), path[:4],
            os.path.exists('/opt/python/__pycache__/greeting.cpython-311.pyc')]
"""
    create(client, unique_name, source, Layers=[layer])
    words, file, depth, table, path, compiled = invoke(client, unique_name)
    assert (words, file, depth, table) == ("hello", "/opt/python/greeting.py", 5, "a,b\n1,2\n")
    assert path == ["/var/task", "/opt/python/lib/python3.11/site-packages", "/opt/python", "/var/runtime"]
    assert compiled


def test_the_function_comes_before_its_layers_and_a_later_layer_before_an_earlier_one(
    node: NodeProcess, unique_name: str
) -> None:
    client = node.client("lambda")
    first = publish(
        client,
        f"{unique_name}-1",
        {"python/both.py": "WHO = 'first'\n", "python/one.py": "", "python/own.py": "WHO = 'layer'\n", "who": "first"},
    )
    second = publish(
        client, f"{unique_name}-2", {"python/both.py": "WHO = 'second'\n", "python/two.py": "", "who": "second"}
    )
    source = """
import both, one, own, two
def handler(event, context):
    return [both.WHO, own.WHO, open('/opt/who').read()]
"""
    files = {"app.py": source, "own.py": "WHO = 'function'\n"}
    create(client, unique_name, files, Layers=[first, second])
    assert invoke(client, unique_name) == ["second", "function", "second"]
    use(client, unique_name, second, first)
    assert invoke(client, unique_name) == ["first", "function", "first"]


def test_opt_cannot_be_written(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    layers = [publish(client, f"{unique_name}-{n}", {f"file{n}": "x"}) for n in range(2)]
    source = """
import errno, os
def attempt(act, *arguments):
    try:
        act(*arguments)
        return 'done'
    except OSError as error:
        return errno.errorcode[error.errno]
def handler(event, context):
    return [attempt(open, '/opt/new', 'w'), attempt(open, '/opt/file0', 'a'), attempt(os.remove, '/opt/file0')]
"""
    create(client, unique_name, source, Layers=layers[:1])
    assert set(invoke(client, unique_name)) <= {"EROFS", "EACCES"}
    use(client, unique_name, *layers)
    assert set(invoke(client, unique_name)) <= {"EROFS", "EACCES"}


def test_commands_and_wrappers(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    layer = publish(
        client,
        unique_name,
        {
            "bin/greet": "#!/bin/sh\necho hello $1\n",
            "wrap": '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
            "python/greeting.py": "",
        },
        modes={"bin/greet": 0o755, "wrap": 0o755},
    )
    source = """
import os, subprocess
import greeting
def handler(event, context):
    return [subprocess.check_output(['greet', event], text=True), os.environ.get('WRAPPED')]
"""
    create(client, unique_name, source, Layers=[layer])
    assert invoke(client, unique_name, "you") == ["hello you\n", None]
    use(client, unique_name, layer, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"}})
    assert invoke(client, unique_name, "you") == ["hello you\n", "yes"]


def test_path_files(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    layer = publish(
        client,
        unique_name,
        {
            "python/vendored.pth": "vendored\nimport os; os.environ['FROM_PATH_FILE'] = 'yes'\n",
            "python/vendored/deep.py": "DEPTH = 2\n",
        },
    )
    source = """
import os
import deep
def handler(event, context):
    return [deep.__file__, os.environ['FROM_PATH_FILE']]
"""
    for variables in ({}, {"PYTHONHASHSEED": "1"}):  # forked, and executed
        name = f"{unique_name}-{len(variables)}"
        create(client, name, source, Layers=[layer], Environment={"Variables": variables})
        assert invoke(client, name) == ["/opt/python/vendored/deep.py", "yes"]


def test_a_pythonpath_of_the_functions_own_replaces_that_of_layers(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    layer = publish(client, unique_name, {"python/hidden.py": "", "own/boto3.py": "WHO = 'layer'\n"})
    source = """
import importlib.util
import boto3
def handler(event, context):
    return [boto3.WHO, importlib.util.find_spec('hidden') is None]
"""
    variables = {"PYTHONPATH": "/opt/own"}
    create(client, unique_name, source, Layers=[layer], Environment={"Variables": variables})
    assert invoke(client, unique_name) == ["layer", True]


def test_shared_libraries(node: NodeProcess, unique_name: str, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    source, library = tmp_path / "answer.c", tmp_path / "libanswer.so"
    source.write_text("int answer(void) { return 42; }\n")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    client = node.client("lambda")
    layer = publish(client, unique_name, {"lib/libanswer.so": library.read_bytes()})
    code = """
import ctypes, os
def handler(event, context):
    return [ctypes.CDLL('libanswer.so').answer(), os.environ['LD_LIBRARY_PATH'].split(':')[-1]]
"""
    create(client, unique_name, code, Layers=[layer])
    assert invoke(client, unique_name) == [42, "/opt/lib"]


def test_a_layer_with_its_own_boto3(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    layer = publish(client, unique_name, {"python/boto3/__init__.py": "__version__ = 'mine'\n"})
    source = """
import boto3
def handler(event, context):
    return [boto3.__version__, boto3.__file__]
"""
    create(client, unique_name, source)
    assert invoke(client, unique_name)[1] == "/var/runtime/boto3/__init__.py"
    use(client, unique_name, layer)
    assert invoke(client, unique_name) == ["mine", "/opt/python/boto3/__init__.py"]


def test_five_layers_and_no_sixth(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    layers = [
        publish(client, f"{unique_name}-{n}", {f"python/m{n}.py": f"N = {n}\n", "python/all.py": f"N = {n}\n"})
        for n in range(6)
    ]
    source = """
import all as every, m0, m1, m2, m3, m4
def handler(event, context):
    return [every.N, *(module.N for module in (m0, m1, m2, m3, m4))]
"""
    create(client, unique_name, source, Layers=layers[:5])
    assert invoke(client, unique_name) == [4, 0, 1, 2, 3, 4]
    with refused("InvalidParameterValueException", "Cannot reference more than 5 layers."):
        client.update_function_configuration(FunctionName=unique_name, Layers=layers)
    assert invoke(client, unique_name) == [4, 0, 1, 2, 3, 4]


def test_another_version_of_a_layer_takes_new_environments(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    first = publish(client, unique_name, {"python/greeting.py": "WORDS = 'hello'\n"})
    source = """
import greeting
count = 0
def handler(event, context):
    global count
    count += 1
    return [greeting.WORDS, count, context.log_stream_name]
"""
    create(client, unique_name, source, Layers=[first])
    version = client.publish_version(FunctionName=unique_name)["Version"]
    words, count, stream = invoke(client, unique_name)
    assert (words, count) == ("hello", 1)
    second = publish(client, unique_name, {"python/greeting.py": "WORDS = 'good evening'\n"})
    assert invoke(client, unique_name) == ["hello", 2, stream], "a new version alone changes nothing"
    use(client, unique_name, second)
    words, count, other = invoke(client, unique_name)
    assert (words, count) == ("good evening", 1)
    assert other != stream
    assert invoke(client, unique_name, Qualifier=version)[0] == "hello"
    use(client, unique_name)
    answer = client.invoke(FunctionName=unique_name)
    assert "No module named 'greeting'" in answer["Payload"].read().decode()


def test_a_deleted_layer_goes_on_working_after_a_restart(unique_name: str, tmp_path: Path) -> None:
    source = "import greeting\ndef handler(event, context):\n    return greeting.WORDS\n"
    with node_process(tmp_path / "data", state_delay_ms=0) as node:
        client = node.client("lambda")
        layer = publish(client, unique_name, {"python/greeting.py": "WORDS = 'hello'\n"})
        create(client, unique_name, source, Layers=[layer])
        assert invoke(client, unique_name) == "hello"
        client.delete_layer_version(LayerName=unique_name, VersionNumber=1)
        assert invoke(client, unique_name) == "hello"
    # Unpacked packages are a cache: without it the new node works from what it keeps.
    (tmp_path / "data" / "packages").rename(tmp_path / "former-packages")
    with node_process(tmp_path / "data", state_delay_ms=0) as node:
        client = node.client("lambda")
        assert client.list_layer_versions(LayerName=unique_name)["LayerVersions"] == []
        assert invoke(client, unique_name) == "hello"


def test_a_layer_of_another_account(node: NodeProcess, unique_name: str) -> None:
    owner = node.client("lambda", aws_access_key_id="111122223333")
    layer = publish(owner, unique_name, {"python/greeting.py": "WORDS = 'hello from next door'\n"})
    owner.add_layer_version_permission(
        LayerName=unique_name, VersionNumber=1, StatementId="all", Action="lambda:GetLayerVersion", Principal="*"
    )
    client = node.client("lambda")
    source = "import greeting\ndef handler(event, context):\n    return greeting.WORDS\n"
    create(client, unique_name, source, Layers=[layer])
    assert invoke(client, unique_name) == "hello from next door"


def test_without_isolation(unique_name: str) -> None:
    """The process driver puts layers on the paths; there is no /opt."""
    with node_process(state_delay_ms=0, sandbox="process") as node:
        client = node.client("lambda")
        layers = [
            publish(
                client,
                f"{unique_name}-{n}",
                {f"python/m{n}.py": "", "python/all.py": f"N = {n}\n", f"bin/say{n}": f"#!/bin/sh\necho {n}\n"},
                modes={f"bin/say{n}": 0o755},
            )
            for n in range(2)
        ]
        source = """
import subprocess
import all as every, m0, m1
def handler(event, context):
    return [every.N, subprocess.check_output(['say0'], text=True), subprocess.check_output(['say1'], text=True)]
"""
        create(client, unique_name, source, Layers=layers)
        assert invoke(client, unique_name) == [1, "0\n", "1\n"]
