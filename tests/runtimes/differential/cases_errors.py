"""How functions fail: exceptions, exits, crashes, modules that do not load."""

from tests.runtimes.differential.case import Case

CASES = [
    Case(name="raise", source="def handler(event, context):\n    raise ValueError('bad thing')\n", expect="bad thing"),
    Case(
        name="raise-custom",
        source="""
        class OrderError(Exception):
            def __str__(self):
                return 'order ' + str(self.args[0])
        def deeper():
            raise OrderError(42)
        def handler(event, context):
            deeper()
        """,
        expect="OrderError",
    ),
    Case(
        name="raise-from",
        source="""
        def handler(event, context):
            try:
                1 / 0
            except ZeroDivisionError as error:
                raise KeyError('k') from error
        """,
        expect="KeyError",
    ),
    Case(
        name="raise-group",
        source="""
            def handler(event, context):
                raise ExceptionGroup('g', [ValueError(1), TypeError(2)])
        """,
        expect="ExceptionGroup",
    ),
    Case(
        name="raise-unicode",
        source="def handler(event, context):\n    raise RuntimeError('ünï\\ncode ☃')\n",
        expect="RuntimeError",
    ),
    Case(
        name="raise-then-answer",
        source="""
        def handler(event, context):
            if event:
                raise RuntimeError('once')
            return 'still here'
        """,
        events=(1, 0),
        expect="once",
    ),
    Case(
        name="recursion",
        source="def handler(event, context):\n    return handler(event, context)\n",
        ways=("fork", "exec"),
        expect="RecursionError",
    ),
    Case(
        name="base-exception",
        source="class Stop(BaseException): pass\ndef handler(event, context):\n    raise Stop('now')\n",
        ways=("fork", "exec"),
    ),
    Case(
        name="keyboard-interrupt",
        source="def handler(event, context):\n    raise KeyboardInterrupt\n",
        ways=("fork", "exec"),
    ),
    Case(name="sys-exit", source="import sys\ndef handler(event, context):\n    sys.exit(3)\n"),
    Case(name="sys-exit-zero", source="import sys\ndef handler(event, context):\n    sys.exit()\n"),
    Case(name="sys-exit-text", source="import sys\ndef handler(event, context):\n    sys.exit('goodbye')\n"),
    Case(
        name="os-exit",
        source="""
            import os
            def handler(event, context):
                print('last words', flush=True)
                os._exit(7)
        """,
    ),
    Case(
        name="atexit",
        source="""
        import atexit, sys
        atexit.register(print, 'at exit')
        def handler(event, context):
            sys.exit(4)
        """,
    ),
    Case(name="abort", source="import os\ndef handler(event, context):\n    os.abort()\n"),
    Case(name="segfault", source="import ctypes\ndef handler(event, context):\n    ctypes.string_at(0)\n"),
    Case(
        name="kill-self",
        source="""
            import os, signal
            def handler(event, context):
                os.kill(os.getpid(), signal.SIGKILL)
        """,
    ),
    Case(
        name="terminate-self",
        source="""
            import os, signal
            def handler(event, context):
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()
        """,
    ),
    Case(name="missing-module", source="", handler="nope.handler", expect="Runtime.ImportModuleError"),
    Case(name="missing-function", source="x = 1\n", handler="app.nope", expect="Runtime.HandlerNotFound"),
    Case(name="bad-handler-string", source="x = 1\n", handler="nodot", expect="Runtime.MalformedHandlerName"),
    Case(name="builtin-module", source="x = 1\n", handler="sys.exit", expect="Runtime.BuiltInModuleConflict"),
    Case(
        name="syntax-error", source="def handler(event, context)\n    return 1\n", expect="Runtime.UserCodeSyntaxError"
    ),
    Case(
        name="indentation-error",
        source="def handler(event, context):\nreturn 1\n",
        expect="Runtime.UserCodeSyntaxError",
    ),
    Case(name="import-error-inside", source="import nowhere_to_be_found\n", expect="Runtime.ImportModuleError"),
    Case(name="import-error-names", source="from json import nothing\n", expect="Runtime.ImportModuleError"),
    Case(name="module-raises", source="raise LookupError('at import')\n", expect="LookupError"),
    Case(name="module-exits", source="import sys\nsys.exit(5)\n"),
    Case(name="module-kills", source="import os\nprint('in the module', flush=True)\nos._exit(9)\n"),
    Case(name="not-callable", source="handler = 42\n", expect="TypeError"),
    Case(name="wrong-arguments", source="def handler():\n    return 1\n", expect="TypeError"),
    Case(name="generator", source="def handler(event, context):\n    yield 1\n", expect="Runtime.MarshalError"),
    Case(
        name="coroutine",
        source="import warnings\nwarnings.simplefilter('ignore')\nasync def handler(event, context):\n    return 1\n",
        expect="Runtime.MarshalError",
    ),
]
