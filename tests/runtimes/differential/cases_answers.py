"""What handlers answer: values, contexts, payloads, state between invocations."""

from tests.runtimes.differential.case import Case

CASES = [
    Case(
        name="hello",
        source="def handler(event, context):\n    return {'hello': event['name']}\n",
        events=({"name": "you"},),
        expect="you",
    ),
    Case(
        name="unicode",
        source="def handler(event, context):\n    print('grüße ☃ 𝄞')\n    return {'é': event, '☃': '𝄞'}\n",
        events=("naïve ☃",),
        expect="na\\u00efve",
    ),
    Case(
        name="unicode-escaped-before-3.12",
        source="def handler(event, context):\n    return 'é☃'\n",
        environ={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.11"},
        expect="\\u00e9",
    ),
    Case(
        name="unicode-raw-from-3.12",
        source="def handler(event, context):\n    return 'é☃'\n",
        environ={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12"},
        expect="é☃",
    ),
    Case(name="none", source="def handler(event, context):\n    pass\n", expect="null"),
    Case(name="bytes", source="def handler(event, context):\n    return b'\\x00\\xff raw'\n"),
    Case(
        name="decimal",
        source="""
        from decimal import Decimal
        def handler(event, context):
            return [Decimal('1.10'), Decimal('NaN'), Decimal('1E+3'), {'d': Decimal('0.1')}]
        """,
        expect="1.10",
    ),
    Case(
        name="nan",
        source="def handler(event, context):\n    return [float('nan'), float('inf'), 1e400]\n",
        expect="NaN",
    ),
    Case(
        name="tuple-and-namedtuple",
        source="""
        import collections
        P = collections.namedtuple('P', 'x y')
        def handler(event, context):
            return [(1, 2), P(3, 4)]
        """,
        expect='"x"',
    ),
    Case(name="set", source="def handler(event, context):\n    return {1, 2}\n", expect="Runtime.MarshalError"),
    Case(
        name="datetime",
        source="import datetime\ndef handler(event, context):\n    return datetime.date(2026, 1, 2)\n",
        expect="Runtime.MarshalError",
    ),
    Case(
        name="circular",
        source="def handler(event, context):\n    a = []\n    a.append(a)\n    return a\n",
        expect="Runtime.MarshalError",
    ),
    Case(name="non-string-keys", source="def handler(event, context):\n    return {1: 'a', None: 'b', True: 'c'}\n"),
    Case(
        name="surrogate",
        source="def handler(event, context):\n    return '\\ud800'\n",
        environ={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.11"},
    ),
    Case(
        name="big-integers",
        source="def handler(event, context):\n    return [event, 2**70]\n",
        raw_events=(b"[12345678901234567890123, 1.0, 1e3]",),
    ),
    Case(
        name="big-payload",
        source="def handler(event, context):\n    return event[::-1]\n",
        events=("x" * 3_000_000 + "y",),
    ),
    Case(
        name="state-is-kept",
        source="""
        count = 0
        def handler(event, context):
            global count
            count += 1
            return count
        """,
        events=(1, 2, 3),
    ),
    Case(
        name="context",
        source="""
        def handler(event, context):
            left = context.get_remaining_time_in_millis()
            return {
                'request': context.aws_request_id, 'group': context.log_group_name, 'stream': context.log_stream_name,
                'name': context.function_name, 'memory': context.memory_limit_in_mb,
                'version': context.function_version, 'arn': context.invoked_function_arn,
                'left': 20000 < left <= 30000, 'tenant': context.tenant_id,
                'identity': [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
                'client': repr(context.client_context),
            }
        """,
        expect="/aws/lambda/f",
    ),
    Case(
        name="client-context",
        source="""
        def handler(event, context):
            client = context.client_context
            return [client.custom, client.env, client.client.installation_id, context.identity.cognito_identity_id]
        """,
        fields={
            "client_context": '{"custom": {"a": "b"}, "env": {"locale": "de"}, "client": {"installation_id": "i"}}',
            "cognito_identity": '{"cognitoIdentityId": "who", "cognitoIdentityPoolId": "pool"}',
        },
        expect="who",
    ),
    Case(
        name="client-context-malformed",
        source="def handler(event, context):\n    return 1\n",
        fields={"client_context": "{"},
        expect="LambdaContextUnmarshalError",
    ),
    Case(
        name="tenant",
        source="def handler(event, context):\n    return context.tenant_id\n",
        fields={"tenant_id": "blue"},
        expect="blue",
    ),
    Case(
        name="event-not-json",
        source="def handler(event, context):\n    return event\n",
        raw_events=(b"{'a':", b"1"),
        expect="Runtime.UnmarshalError",
    ),
    Case(
        name="trace-id",
        source="import os\ndef handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n",
        expect="Root=1-",
    ),
    Case(
        name="nested-handler",
        files={
            "a/__init__.py": "",
            "a/b/__init__.py": "",
            "a/b/c.py": "def run(event, context):\n    return __name__\n",
        },
        handler="a/b/c.run",
        expect="a.b.c",
    ),
    Case(
        name="dotted-handler",
        files={"a/b.py": "def run(event, context):\n    return __name__\n"},
        handler="a.b.run",
        expect="a.b",
    ),
    Case(
        name="callable-object",
        source="""
        class Handler:
            def __call__(self, event, context):
                return type(self).__name__
        handler = Handler()
        """,
        expect="Handler",
    ),
]
