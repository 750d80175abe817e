"""What functions see of and do to their system: environment, processes, threads, files, time, locale."""

from tests.runtimes.differential.case import Case

_PLAIN = ("fork", "exec")

CASES = [
    Case(
        name="environ",
        source="""
        import os, subprocess, sys
        apart = {'PYTHONHASHSEED', 'PYTHONPATH', 'AWS_LAMBDA_EXEC_WRAPPER', 'LC_CTYPE'}
        def handler(event, context):
            mine = {k: v for k, v in os.environ.items() if k not in apart}
            script = 'import os, json; print(json.dumps(dict(os.environ)))'
            import json
            child = json.loads(subprocess.run([sys.executable, '-c', script], capture_output=True, check=True).stdout)
            return [mine, {k: v for k, v in child.items() if k not in apart}]
        """,
        environ={"MINE": "yes", "EMPTY": "", "ÜNI": "cödé"},
        expect="LAMBDA_TASK_ROOT",
    ),
    Case(
        name="environ-changes",
        source="""
        import os, subprocess
        os.environ['FROM_MODULE'] = '1'
        def handler(event, context):
            os.environ['FROM_HANDLER'] = '2'
            os.environ.pop('AWS_REGION')
            out = subprocess.run('echo $FROM_MODULE $FROM_HANDLER [$AWS_REGION]', shell=True, capture_output=True)
            return out.stdout.decode()
        """,
        expect="1 2 []",
    ),
    Case(
        name="cwd-and-user",
        source="""
        import getpass, grp, os, pwd
        def handler(event, context):
            return [os.getcwd(), os.getuid(), os.getgid(), os.geteuid(), getpass.getuser(), pwd.getpwuid(os.getuid()),
                    grp.getgrgid(os.getgid()).gr_name, os.path.expanduser('~'), os.umask(0o22), os.getgroups()]
        """,
        expect="sbx_user1051",
    ),
    Case(
        name="sys-facts",
        source="""
        import sys, locale
        def handler(event, context):
            return [sys.path, sys.argv, list(sys.flags), sys.executable, sys.prefix, sys.stdout.encoding,
                    sys.stderr.errors, sys.getfilesystemencoding(), locale.getlocale(), locale.getpreferredencoding(),
                    sys.getrecursionlimit(), sys.dont_write_bytecode, sys.warnoptions, sys._xoptions,
                    sys.stdin.read(), sys.stdout.isatty(), sys.orig_argv]
        """,
        ways=_PLAIN,
        environ={"PYTHONHASHSEED": "random"},
        expect="/var/task",
    ),
    Case(
        name="main-module",
        source="""
        import __main__, sys
        def handler(event, context):
            return [sorted(k for k in vars(__main__) if not k.startswith('__')), __main__.__name__,
                    'pilotlight_inside' in sys.modules, [m for m in sys.modules if 'pilotlight' in m]]
        """,
        ways=("fork",),
        expect="__main__",
    ),
    Case(
        name="fresh-state",
        source="""
        import asyncio, gc, logging, random, signal, sys, tempfile, threading, warnings
        def handler(event, context):
            try:
                asyncio.get_running_loop()
                loop = 'running'
            except RuntimeError:
                loop = 'none'
            return [loop, threading.active_count(), threading.current_thread().name, gc.isenabled(), gc.get_threshold(),
                    [str(signal.getsignal(s)).split(' at ')[0] for s in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD,
                     signal.SIGPIPE, signal.SIGHUP, signal.SIGUSR1)], signal.pthread_sigmask(signal.SIG_BLOCK, []),
                    tempfile.tempdir, random.getstate()[1][-1] == 624, sys.getswitchinterval(), sys.gettrace(),
                    sys.getprofile(), threading.main_thread() is threading.current_thread(),
                    'boto3' in sys.modules and sys.modules['boto3'].DEFAULT_SESSION]
        """,
        ways=_PLAIN,
    ),
    Case(
        name="time-zone",
        source="""
        import datetime, os, time
        def handler(event, context):
            first = [time.tzname, time.timezone, datetime.datetime(2026, 7, 1).astimezone().isoformat()]
            os.environ['TZ'] = 'Asia/Tokyo'
            time.tzset()
            return [first, time.tzname]
        """,
        environ={"TZ": "Europe/Berlin"},
        expect="+02:00",
    ),
    Case(
        name="time-zone-utc",
        source="""
            import time
            def handler(event, context):
                return [time.tzname, time.localtime(0)[:6]]
        """,
        expect="UTC",
    ),
    Case(
        name="subprocess",
        source="""
        import subprocess, sys
        def handler(event, context):
            a = subprocess.run(['/bin/sh', '-c', 'echo out; echo err >&2; exit 3'], capture_output=True)
            b = subprocess.check_output([sys.executable, '-c', 'print(6*7)'])
            p = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            return [a.returncode, a.stdout.decode(), a.stderr.decode(), b.decode(),
                    p.communicate(b'through')[0].decode()]
        """,
        expect="42",
    ),
    Case(
        name="subprocess-signals",
        source="""
        import subprocess, sys
        script = 'import signal; print([signal.getsignal(s) for s in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM)])'
        def handler(event, context):
            status = [l for l in subprocess.check_output(['cat', '/proc/self/status']).decode().splitlines()
                      if l.startswith(('SigBlk', 'SigIgn'))]
            return [status, subprocess.check_output([sys.executable, '-c', script]).decode()]
        """,
    ),
    Case(
        name="multiprocessing",
        source="""
        import multiprocessing
        def square(connection, x):
            connection.send(x * x)
        def handler(event, context):
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.get_context('fork').Process(target=square, args=(theirs, 7))
            process.start()
            answer = ours.recv()
            process.join()
            return [answer, process.exitcode]
        """,
        expect="49",
    ),
    Case(
        name="fork-in-handler",
        source="""
        import os
        def handler(event, context):
            r, w = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.write(w, b'child')
                os._exit(5)
            return [os.read(r, 10).decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
        """,
        expect="child",
    ),
    Case(
        name="threads",
        source="""
        import concurrent.futures, threading
        pool = concurrent.futures.ThreadPoolExecutor(4)
        local = threading.local()
        def handler(event, context):
            return [sum(pool.map(lambda x: x * x, range(100))), hasattr(local, 'x'), threading.active_count()]
        """,
        events=(1, 2),
    ),
    Case(
        name="thread-raises",
        source="""
        import threading
        def fail():
            raise RuntimeError('in a thread')
        def handler(event, context):
            thread = threading.Thread(target=fail, name='worker')
            thread.start()
            thread.join()
            return 'fine'
        """,
        expect="fine",
    ),
    Case(
        name="asyncio",
        source="""
        import asyncio
        async def work(n):
            await asyncio.sleep(0.001)
            return n * 2
        async def main():
            return await asyncio.gather(*(work(n) for n in range(5)))
        def handler(event, context):
            process = asyncio.run(shell())
            return [asyncio.run(main()), process]
        async def shell():
            process = await asyncio.create_subprocess_exec('echo', 'hi', stdout=asyncio.subprocess.PIPE)
            return (await process.communicate())[0].decode()
        """,
        events=(1, 2),
        expect="hi",
    ),
    Case(
        name="signals",
        source="""
        import os, signal, time
        seen = []
        def on(number, frame):
            seen.append(number)
        def handler(event, context):
            signal.signal(signal.SIGUSR1, on)
            signal.signal(signal.SIGALRM, on)
            os.kill(os.getpid(), signal.SIGUSR1)
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            deadline = time.monotonic() + 5
            while len(seen) < 2 and time.monotonic() < deadline:
                time.sleep(0.002)
            return seen
        """,
    ),
    Case(
        name="signal-wakes-idle",
        source="""
        import os, signal, subprocess
        seen = []
        signal.signal(signal.SIGUSR2, lambda *_: seen.append('between'))
        def handler(event, context):
            if event:
                subprocess.Popen(['/bin/sh', '-c', f'kill -USR2 {os.getpid()}'])
                return 'sent'
            import time
            deadline = time.monotonic() + 5
            while not seen and time.monotonic() < deadline:
                time.sleep(0.002)
            return seen
        """,
        events=(1, 0),
    ),
    Case(
        name="files",
        source="""
        import os, stat, tempfile
        def handler(event, context):
            out = []
            for directory in ('/tmp', '/var/task', '', '/etc', '/var/runtime', '/opt', '/dev', '/proc', '/usr'):
                path = directory + '/x'
                try:
                    open(path, 'w').close()
                    out.append([path, oct(stat.S_IMODE(os.stat(path).st_mode))])
                except OSError as error:
                    out.append([path, error.strerror])
            with tempfile.NamedTemporaryFile() as file:
                out.append(os.path.dirname(file.name))
            return out + [sorted(os.listdir('/var/task')), os.access('/tmp', os.W_OK), os.path.ismount('/tmp')]
        """,
        expect="Read-only",
    ),
    Case(
        name="devices",
        source="""
        import os
        def handler(event, context):
            with open('/dev/null', 'wb') as null:
                null.write(b'x')
            return [sorted(os.listdir('/dev')), len(open('/dev/urandom', 'rb').read(16)),
                    open('/dev/zero', 'rb').read(2).hex(),
                    os.readlink('/dev/fd'), open('/dev/stdin').read()]
        """,
        expect="urandom",
    ),
    Case(
        name="proc",
        source="""
        import os
        def handler(event, context):
            status = dict(l.split(':', 1) for l in open('/proc/self/status').read().splitlines())
            names = ('Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp')
            return [{k: status[k].split() for k in names}, open('/proc/self/cgroup').read() != '',
                    len([p for p in os.listdir('/proc') if p.isdigit()]), open('/proc/self/oom_score_adj').read(),
                    open('/proc/self/comm').read().startswith('python'), os.readlink('/proc/self/cwd')]
        """,
        expect="NoNewPrivs",
    ),
    Case(
        name="limits",
        source="""
        import resource
        def handler(event, context):
            return [resource.getrlimit(getattr(resource, n)) for n in ('RLIMIT_NOFILE', 'RLIMIT_NPROC', 'RLIMIT_CORE')]
        """,
        expect="1024",
    ),
    Case(
        name="open-files",
        source="""
        import os
        def handler(event, context):
            kinds = []
            for fd in sorted(map(int, os.listdir('/proc/self/fd'))):
                try:
                    kinds.append([fd, os.readlink(f'/proc/self/fd/{fd}').split('[')[0], os.get_inheritable(fd)])
                except OSError:
                    pass
            return [k for k in kinds if k[0] < 3] + [len(kinds) <= 7, [k for k in kinds if k[0] > 2 and k[2]]]
        """,
        ways=_PLAIN,
    ),
    Case(
        name="network",
        source="""
        import socket
        def handler(event, context):
            out = [socket.gethostname(), [name for _, name in socket.if_nameindex()]]
            for host, port in (('127.0.0.1', 1), ('10.0.0.1', 80), ('1.1.1.1', 53)):
                try:
                    socket.create_connection((host, port), 2).close()
                    out.append('connected')
                except OSError as error:
                    out.append(error.strerror)
            try:
                socket.getaddrinfo('example.com', 443)
            except socket.gaierror as error:
                out.append('gaierror')
            server = socket.create_server(('127.0.0.1', 0))
            client = socket.create_connection(server.getsockname())
            server.accept()[0].sendall(b'loop')
            return out + [client.recv(4).decode(), socket.gethostbyname('localhost')]
        """,
        expect="loop",
    ),
    Case(
        name="sqlite",
        source="""
        import sqlite3
        def handler(event, context):
            with sqlite3.connect('/tmp/db.sqlite') as db:
                db.execute('create table if not exists t (x)')
                db.execute('insert into t values (1)')
            return db.execute('select count(*) from t').fetchone()
        """,
        events=(1, 2),
    ),
    Case(
        name="ctypes",
        source="""
        import ctypes, ctypes.util
        libc = ctypes.CDLL(None, use_errno=True)
        def handler(event, context):
            callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
            values = (ctypes.c_int * 3)(3, 1, 2)
            libc.qsort(values, 3, 4, callback(lambda a, b: a[0] - b[0]))
            return [list(values), libc.close(-1), ctypes.get_errno(), libc.getppid()]
        """,
        expect="[1, 2, 3]",
    ),
    Case(
        name="pickle-and-copy",
        source="""
        import copy, pickle
        class Thing:
            def __init__(self):
                self.x = [1]
        def handler(event, context):
            thing = pickle.loads(pickle.dumps(copy.deepcopy(Thing())))
            return [thing.x, Thing.__module__]
        """,
    ),
    Case(
        name="ssl-and-hash",
        source="""
        import hashlib, hmac, ssl
        def handler(event, context):
            context = ssl.create_default_context()
            return [hashlib.sha256(b'x').hexdigest(), hmac.new(b'k', b'm', 'md5').hexdigest(), len(ssl.RAND_bytes(8)),
                    context.verify_mode]
        """,
    ),
    Case(
        name="interpreter-child",
        source="""
        import subprocess, sys
        script = 'import sys, boto3; print([p for p in sys.path if p], boto3.__file__)'
        def handler(event, context):
            return subprocess.run(['python3', '-c', script], capture_output=True).stdout.decode()
        """,
        ways=_PLAIN,
        expect="/var/runtime/boto3",
    ),
]
