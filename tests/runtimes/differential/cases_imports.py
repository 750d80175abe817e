"""What functions import: the runtime's modules, their own copies of them, layers, zips, compiled packages."""

from tests.runtimes.differential.case import Case
from tests.support import make_zip

_FAKE = "__version__ = '0.0-mine'\n"

CASES = [
    Case(
        name="boto3",
        source="""
        import boto3, botocore
        def handler(event, context):
            s3 = boto3.client('s3')
            return [boto3.__file__, botocore.__file__, s3.meta.region_name, s3.meta.endpoint_url,
                    boto3.session.Session().get_credentials().access_key]
        """,
        ways=("fork", "exec"),
        expect="/var/runtime/boto3",
    ),
    Case(
        name="boto3-s3-presign",
        source="""
        import boto3
        def handler(event, context):
            url = boto3.client('s3').generate_presigned_url('get_object', Params={'Bucket': 'b', 'Key': 'k/é'})
            return url.partition('?')[0]
        """,
        expect="http://127.0.0.1:4566/b/",
    ),
    Case(
        name="own-boto3",
        source="""
            import boto3
            def handler(event, context):
                return [boto3.__file__, boto3.__version__]
        """,
        files={"boto3/__init__.py": _FAKE},
        expect="0.0-mine",
    ),
    Case(
        name="own-urllib3",
        source="""
            import urllib3
            def handler(event, context):
                return [urllib3.__file__, urllib3.__version__]
        """,
        files={"urllib3/__init__.py": _FAKE},
        expect="0.0-mine",
    ),
    Case(
        name="own-six-and-boto3",
        source="""
            import boto3, six, dateutil
            def handler(event, context):
                return [six.__version__, dateutil.__name__, boto3.__name__]
        """,
        files={"six.py": ""},
        expect="ImportModuleError",
    ),
    Case(
        name="own-boto3-on-a-path-of-its-own",
        source="""
        import os, sys
        sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'vendor'))
        import boto3
        def handler(event, context):
            return [boto3.__file__, boto3.__version__]
        """,
        files={"vendor/boto3/__init__.py": _FAKE},
        expect="0.0-mine",
    ),
    Case(
        name="own-simplejson",
        source="""
            import simplejson
            def handler(event, context):
                return [simplejson.__version__, {'é': 1.5}]
        """,
        files={"simplejson/__init__.py": _FAKE},
        ways=("fork", "exec"),
        expect="0.0-mine",
    ),
    Case(
        name="own-module-like-a-library-one",
        source="""
            import queue, secrets
            def handler(event, context):
                return [queue.mine, secrets.mine]
        """,
        files={"queue.py": "mine = 'my queue'\n", "secrets.py": "mine = 'my secrets'\n"},
        ways=("fork", "exec"),
        expect="my queue",
    ),
    Case(
        name="own-select",
        source="""
            import selectmodule, calendar
            def handler(event, context):
                return [selectmodule.x, calendar.mine]
        """,
        files={"selectmodule.py": "x = 1\n", "calendar.py": "mine = 'my calendar'\n"},
        ways=("fork", "exec"),
        expect="my calendar",
    ),
    Case(
        name="package-relative",
        files={
            "pkg/__init__.py": "from .a import value\n",
            "pkg/a.py": "value = 'relative'\n",
            "app.py": "import pkg\ndef handler(event, context):\n    return pkg.value\n",
        },
        expect="relative",
    ),
    Case(
        name="namespace-package",
        files={
            "ns/one/a.py": "x = 1\n",
            "ns/two/b.py": "x = 2\n",
            "app.py": "import ns.one.a, ns.two.b\ndef handler(event, context):\n    return [ns.one.a.x, ns.two.b.x]\n",
        },
    ),
    Case(
        name="data-files",
        files={
            "data/words.txt": "some words",
            "app.py": """
        import importlib.resources, os, pathlib
        def handler(event, context):
            return [pathlib.Path(__file__).parent.joinpath('data/words.txt').read_text(), open('data/words.txt').read(),
                    importlib.resources.files('data').joinpath('words.txt').read_text(), __file__]
        """,
        },
        expect="some words",
    ),
    Case(
        name="zipimport",
        source="""
        import sys
        sys.path.insert(0, '/var/task/lib.zip')
        import zipped
        def handler(event, context):
            return [zipped.x, zipped.__file__]
        """,
        files={"lib.zip": make_zip({"zipped.py": "x = 'from a zip'"})},
        expect="from a zip",
    ),
    Case(
        name="own-boto3-in-a-zip",
        source="""
        import sys
        sys.path.insert(0, '/var/task/lib.zip')
        import boto3
        def handler(event, context):
            return boto3.__version__
        """,
        files={"lib.zip": make_zip({"boto3/__init__.py": _FAKE})},
        expect="0.0-mine",
    ),
    Case(
        name="lazy-import",
        source="""
        def handler(event, context):
            import csv, email.message, html.parser, urllib.request, xml.etree.ElementTree, zoneinfo
            return [str(zoneinfo.ZoneInfo('Europe/Paris')), csv.__name__]
        """,
        expect="Europe/Paris",
    ),
    Case(
        name="metadata",
        source="""
        import importlib.metadata
        def handler(event, context):
            return importlib.metadata.version('boto3') == __import__('boto3').__version__
        """,
        expect="true",
    ),
    Case(
        name="layer",
        source="""
            import from_layer
            def handler(event, context):
                return [from_layer.who, open('/opt/notes.txt').read(), from_layer.__file__]
        """,
        layers=(
            {"python/from_layer.py": "who = 'first'\n", "notes.txt": "first"},
            {"python/from_layer.py": "who = 'second'\n", "notes.txt": "second"},
        ),
        ways=("fork", "exec"),
        expect="second",
    ),
    Case(
        name="layer-site-packages",
        source="import deep\ndef handler(event, context):\n    return deep.__file__\n",
        layers=({"python/lib/python3.11/site-packages/deep.py": ""},),
        ways=("fork", "exec"),
        expect="/opt/python/lib",
    ),
    Case(
        name="numpy",
        wheels=("numpy",),
        source="""
        import numpy
        def handler(event, context):
            m = numpy.arange(6.0).reshape(2, 3)
            return [(m @ m.T).tolist(), float(numpy.linalg.det(numpy.eye(3))), numpy.__file__]
        """,
        expect="/var/task/numpy",
    ),
    Case(
        name="pillow",
        wheels=("pillow",),
        source="""
        import io
        from PIL import Image
        def handler(event, context):
            image = Image.new('RGB', (640, 480), 'red')
            image.thumbnail((300, 300))
            out = io.BytesIO()
            image.save(out, 'JPEG')
            return [image.size, Image.open(io.BytesIO(out.getvalue())).format, out.getvalue()[:2].hex()]
        """,
        expect="300",
    ),
    Case(
        name="cryptography",
        wheels=("cryptography", "cffi", "pycparser"),
        source="""
        from cryptography.fernet import Fernet
        from cryptography.hazmat.primitives.asymmetric import ed25519
        key = Fernet.generate_key()
        def handler(event, context):
            signature = ed25519.Ed25519PrivateKey.from_private_bytes(b'k' * 32).sign(b'message')
            return [Fernet(key).decrypt(Fernet(key).encrypt(b'secret')).decode(), signature.hex()]
        """,
        expect="secret",
    ),
    Case(
        name="psycopg",
        wheels=("psycopg", "psycopg-binary", "typing-extensions"),
        source="""
        import psycopg
        def handler(event, context):
            try:
                psycopg.connect('host=127.0.0.1 port=1 connect_timeout=2')
            except psycopg.OperationalError as error:
                return ['refused' in str(error), psycopg.pq.__impl__]
        """,
        expect="binary",
    ),
    Case(
        name="grpc",
        wheels=("grpcio", "typing-extensions"),
        source="""
        import grpc
        def handler(event, context):
            channel = grpc.insecure_channel('127.0.0.1:1')
            try:
                grpc.channel_ready_future(channel).result(timeout=0.2)
            except grpc.FutureTimeoutError:
                return 'no answer'
            finally:
                channel.close()
        """,
        events=(1, 2),
        expect="no answer",
    ),
    Case(
        name="powertools",
        wheels=("aws-lambda-powertools", "jmespath", "typing-extensions"),
        source="""
        from aws_lambda_powertools import Logger
        logger = Logger(service='orders', level='INFO', log_record_order=['level', 'message'])
        @logger.inject_lambda_context
        def handler(event, context):
            logger.info('hello', order=1)
            return 'logged'
        """,
        expect="logged",
    ),
    Case(
        name="requests-vendored",
        wheels=("requests", "urllib3", "idna", "certifi", "charset-normalizer"),
        source="""
        import requests, urllib3, boto3
        def handler(event, context):
            try:
                requests.get('http://127.0.0.1:1/', timeout=2)
            except requests.ConnectionError as error:
                return [type(error).__name__, urllib3.__file__, boto3.session.Session().region_name]
        """,
        expect="/var/task/urllib3",
    ),
]
