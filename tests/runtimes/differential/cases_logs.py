"""What functions print and log, as text and as JSON."""

from tests.runtimes.differential.case import Case

_LOGGING = """
import logging
logger = logging.getLogger()
log = logging.getLogger('mine.deep')
def handler(event, context):
    logger.debug('debug %s', 1)
    logger.info('info')
    log.warning('warning\\nsecond line')
    logger.error('error', extra={'order': 7})
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception('failed')
    context.log('by context\\n')
    return [logger.level, [type(h).__name__ for h in logger.handlers], log.isEnabledFor(logging.INFO)]
"""

CASES = [
    Case(
        name="print",
        source="def handler(event, context):\n    print('one\\ntwo')\n    print('three', end='')\n    print()\n",
    ),
    Case(
        name="print-stderr",
        source="""
            import sys
            def handler(event, context):
                print('out')
                print('err', file=sys.stderr)
                sys.stdout.write('raw')
                return 1
        """,
    ),
    Case(name="print-in-module", source="print('loading')\ndef handler(event, context):\n    return 1\n"),
    Case(name="print-carriage-return", source="def handler(event, context):\n    print('a\\rb\\rc')\n"),
    Case(
        name="print-bytes",
        source="import os\ndef handler(event, context):\n    os.write(1, b'\\xff\\xfe\\n')\n    os.write(2, b'2\\n')\n",
    ),
    Case(
        name="order-of-streams",
        source="""
        import logging, os, subprocess, sys
        def handler(event, context):
            for i in range(5):
                print('print', i)
                logging.getLogger().warning('log %d', i)
                os.write(1, b'write %d\\n' % i)
                subprocess.run(['echo', 'child', str(i)], check=True)
                print('error', i, file=sys.stderr)
        """,
    ),
    Case(name="logging-text", source=_LOGGING),
    Case(name="logging-text-level", source=_LOGGING, environ={"AWS_LAMBDA_LOG_LEVEL": "DEBUG"}),
    Case(name="logging-json", source=_LOGGING, environ={"AWS_LAMBDA_LOG_FORMAT": "JSON"}),
    Case(
        name="logging-json-level",
        source=_LOGGING,
        environ={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "ERROR"},
    ),
    Case(
        name="logging-json-trace",
        source=_LOGGING,
        environ={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "TRACE"},
    ),
    Case(
        name="error-json",
        source="def handler(event, context):\n    raise ValueError('bad')\n",
        environ={"AWS_LAMBDA_LOG_FORMAT": "JSON"},
        expect="bad",
    ),
    Case(
        name="init-error-json",
        source="import nope\n",
        environ={"AWS_LAMBDA_LOG_FORMAT": "JSON"},
        expect="ImportModuleError",
    ),
    Case(
        name="logging-basic-config",
        source="""
        import logging
        logging.basicConfig(level=logging.DEBUG, format='%(message)s', force=True)
        def handler(event, context):
            logging.info('mine')
            logging.getLogger('botocore').debug('theirs')
        """,
    ),
    Case(
        name="logging-in-module",
        source="""
            import logging
            logging.warning('from the module')
            def handler(event, context):
                return 1
        """,
    ),
    Case(name="long-lines", source="def handler(event, context):\n    print('x' * 300_000)\n    print('end')\n"),
    Case(
        name="warnings",
        source="""
            import warnings
            def handler(event, context):
                warnings.warn('careful')
                warnings.warn('old', DeprecationWarning)
        """,
    ),
    Case(
        name="traceback-print",
        source="""
            import traceback
            def handler(event, context):
                try:
                    {}['x']
                except KeyError:
                    traceback.print_exc()
        """,
    ),
]
