"""One execution environment: a slot with a sandbox, serving one invocation at a time.

It starts runtime processes, gives them work, keeps time, and says what happened in its log. It decides nothing
about scaling: the pool does. Life cycle and phases as in the developer guide's "Lambda execution environment
lifecycle"; the legal steps are in `state.py`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable

from pilotlight.catalog.credentials import Identity
from pilotlight.catalog.records import FunctionVersion
from pilotlight.environments.environ import function_environ
from pilotlight.environments.environment_log import EnvironmentLog, now_ms
from pilotlight.environments.invocation import Initialization, Invocation, Outcome, ResponseHead
from pilotlight.environments.platform_log import PlatformLog
from pilotlight.environments.process import LAST_WORDS_S, LiveProcess
from pilotlight.environments.state import State, check
from pilotlight.environments.streaming import StreamedResponse
from pilotlight.environments.tools import EnvironmentOwner, EnvironmentTools
from pilotlight.observe import lines
from pilotlight.observe.trace import Trace
from pilotlight.runtimes import faults
from pilotlight.runtimes.http_api import RuntimeApi
from pilotlight.runtimes.session import RuntimeSession, Work
from pilotlight.sandbox.errors import LaunchError, SandboxLost
from pilotlight.sandbox.spec import LaunchSpec, RuntimeProcess, Sandbox

logger = logging.getLogger(__name__)

#: how long the init phase may take before Lambda gives up and retries it inside the first invocation
INIT_LIMIT_S = 10.0
#: the same ahead of any invocation: at least this, and as long as the function's timeout
PROVISIONED_INIT_LIMIT_S = 130.0


class Environment:
    def __init__(
        self,
        version: FunctionVersion,
        tools: EnvironmentTools,
        owner: EnvironmentOwner,
        initialization: Initialization = "on-demand",
    ) -> None:
        self.version = version
        self.provisioned = initialization == "provisioned-concurrency"
        self._initialization: Initialization = initialization
        self.id = secrets.token_hex(16)
        self.state = State.STARTING
        self.idle_since = time.monotonic()
        self.born = self.idle_since
        self.born_counted = not self.provisioned
        """The pool counts it among those starting, until it is first available or gone."""
        self._tools = tools
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._sandbox: Sandbox | None = None
        self._process: LiveProcess | None = None
        self._servers: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._invocation: Invocation | None = None
        self._streamed: StreamedResponse | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._started_ns = 0
        self._init_started_ns = 0
        self._init_ms: float | None = None
        self._max_rss_kib = 0
        self.memory_mib: float | None = None
        """What it was last seen to take, and when."""
        self.measured_at = 0.0
        self._launching = False
        self._log = EnvironmentLog(version, tools, self.id, shows_init=initialization == "on-demand")
        self._write = self._log.write
        self._platform = PlatformLog(version, initialization)
        self._identity = Identity(version.account, version.region, version.role, version.function_arn, self.id)

    # -- starting ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the sandbox and its first process; the owner hears when it is available or that it failed."""
        self._spawn(self._launch())

    async def _launch(self) -> None:
        """Start a runtime process: in a new sandbox, or in the kept one after a reset."""
        version = self.version
        self._launching = True
        try:
            directories = await self._tools.directories(version)
            self._platform.notice = self._tools.runtime_notice(version)
            at_ms = now_ms()
            self._write(self._platform.init_start(at_ms, self._init_phase), at_ms)
            credentials = self._tools.credentials.issue(self._identity, self._tools.clock.time_ms())
            spec = LaunchSpec(
                environment_id=self.id,
                runtime=version.runtime,
                handler=version.handler,
                code_dir=directories.code,
                layer_dirs=directories.layers,
                environ=function_environ(version, credentials, self._log.stream_name, self._initialization),
                tmp_mib=version.tmp_mib,
                memory_mib=version.memory_mib,
                network=self._tools.network,
            )
            process = await self._start_process(spec)
        except (LaunchError, OSError) as error:
            self._launch_failed(f"{version.function_arn} could not be started: {error}")
            return
        except Exception as error:
            logger.exception("starting an environment of %s", version.function_arn)
            self._launch_failed(f"{version.function_arn} could not be started: {error!r}")
            return
        finally:
            self._launching = False
        if self._ending:
            process.kill()
            process.close()
            if self._sandbox is None:
                await process.sandbox.destroy()
            return
        self._init_started_ns = time.perf_counter_ns()  # making the sandbox is no part of Lambda's Init Duration
        first = self._sandbox is None
        self._sandbox = process.sandbox
        self._to(State.INITIALIZING)
        session = RuntimeSession(self)
        self._process = live = LiveProcess(
            process, session, died=self._died, output=self._log.printed, turns=self._tools.output_turns
        )
        if self._invocation is None:
            self._timer = self._loop.call_later(self._init_limit_s, self._init_timed_out)
        await live.open()
        if first:
            await self._serve(process.sandbox)

    async def _start_process(self, spec: LaunchSpec) -> RuntimeProcess:
        """In the kept sandbox, or in a new one when there is none or it went with its zygote."""
        if self._sandbox is not None:
            try:
                return await self._tools.launcher.launch(spec, self._sandbox)
            except SandboxLost:
                lost, self._sandbox = self._sandbox, None
                self._close_servers()
                await lost.destroy()
        return await self._tools.launcher.launch(spec)

    async def _serve(self, sandbox: Sandbox) -> None:
        """Accept on the listeners inside the sandbox; both know whose they are."""
        endpoint = self._tools.endpoint_protocol
        for make, listener in (
            (lambda: RuntimeApi(self._session), sandbox.runtime_api),
            (lambda: endpoint(self._identity), sandbox.aws_endpoint),
        ):
            if not self._ending:  # it may have been retired while this waited
                self._servers.append(await self._loop.create_server(make, sock=listener))
        if self._ending:
            self._close_servers()

    @property
    def _init_phase(self) -> str:
        """`invoke` when the init runs (again) inside of an invocation."""
        return "init" if self._invocation is None else "invoke"

    @property
    def _init_limit_s(self) -> float:
        return max(PROVISIONED_INIT_LIMIT_S, self.version.timeout_s) if self.provisioned else INIT_LIMIT_S

    @property
    def runtime_pid(self) -> int:
        """0 when it has no process, or it cannot be told."""
        return self._process.pid if self._process is not None else 0

    @property
    def peak_rss_mib(self) -> float:
        return self._max_rss_kib / 1024

    @property
    def _ending(self) -> bool:
        return self.state in (State.RETIRING, State.GONE)

    def _session(self) -> RuntimeSession | None:
        return self._process.session if self._process else None

    def _launch_failed(self, reason: str) -> None:
        logger.warning(reason)
        invocation = self._invocation
        if invocation is not None:
            self._cancel_timer()
            self._invocation = None
            self._to(State.RETIRING)
            invocation.done(
                Outcome(payload=faults.error_body(faults.FAILURE, reason), error_type=faults.FAILURE, never_ran=True)
            )
            self._finish_retiring()
        elif self.state in (State.STARTING, State.RESETTING):
            self._to(State.RETIRING)
            self._owner.start_failed(self, reason)
            self._finish_retiring()

    # -- what the runtime says ---------------------------------------------------------------------------------------

    def runtime_ready(self, max_rss_kib: int) -> None:
        init_ms = (time.perf_counter_ns() - self._init_started_ns) / 1e6
        self._max_rss_kib = max(self._max_rss_kib, max_rss_kib)
        self._log_init(init_ms, "success")
        self._to(State.IDLE)
        if self._invocation is not None:  # a suppressed init: its time belongs to the invocation
            self._deliver(self._invocation)
            return
        self._cancel_timer()
        if self.provisioned:  # its time belongs to no invocation
            self._tools.provisioned_init(self.version, init_ms)
        else:
            self._init_ms = init_ms
        self._rest()

    def runtime_init_failed(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        self._max_rss_kib = max(self._max_rss_kib, max_rss_kib)
        self._init_over(error_type, body)

    def runtime_responded(self, body: bytes, max_rss_kib: int, content_type: str) -> None:
        if max_rss_kib > self._max_rss_kib:
            self._max_rss_kib = max_rss_kib
        self._answer(body, "", "", State.IDLE)

    def runtime_failed(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        if max_rss_kib > self._max_rss_kib:
            self._max_rss_kib = max_rss_kib
        self._answer(body, "Unhandled", error_type, State.IDLE)

    def runtime_began_stream(self, content_type: str, transport: asyncio.ReadTransport) -> None:
        assert self._invocation is not None
        head = ResponseHead(content_type, self.version.version)
        limits = self._tools.stream_limits
        self._streamed = StreamedResponse(self._invocation, head, transport, limits, self._started_ns)

    def runtime_streamed(self, chunk: bytes) -> bool:
        return self._streamed is not None and self._streamed.write(chunk)

    def runtime_ended_stream(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        if max_rss_kib > self._max_rss_kib:
            self._max_rss_kib = max_rss_kib
        self._answer(body, "Unhandled" if error_type else "", error_type, State.IDLE)

    def runtime_cut_stream(self) -> None:
        """Its process may be about to die of the same cause, which then is the answer."""
        self._loop.call_later(LAST_WORDS_S, self._truncated, self._invocation)

    def _truncated(self, invocation: Invocation | None) -> None:
        process = self._process
        if invocation is not None and invocation is self._invocation and process is not None and process.alive:
            self._answer(faults.truncated(invocation.request_id), "Unhandled", faults.TRUNCATED, State.IDLE)

    def runtime_violated(self, reason: str) -> None:
        logger.warning("%s environment %s: %s", self.version.function_arn, self.id, reason)
        self._died(-9)

    # -- serving -----------------------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """It may be given an invocation: idle and alive, or a slot waiting to be initialised again."""
        if self.state is State.IDLE:
            process = self._process
            return process is not None and process.alive
        return self.state is State.RESETTING and not self._launching

    def begin(self, invocation: Invocation) -> None:
        """Take an invocation. After a reset its init runs first, inside the function's timeout."""
        self._invocation = invocation
        self._started_ns = time.perf_counter_ns()
        if invocation.log_tail is not self._log.tail:
            self._log.turn_to(invocation.log_tail)
        if invocation.trace is not None:
            self._note_begin(invocation.trace)
        self._timer = self._loop.call_later(self.version.timeout_s, self._timed_out)
        if self.state is State.IDLE:
            self._deliver(invocation)
        else:
            self._spawn(self._launch())

    def _note_begin(self, trace: Trace) -> None:
        trace.began_ns = time.time_ns()
        if self._init_ms is not None:
            trace.init_began_ns = trace.began_ns - (self._started_ns - self._init_started_ns)

    def _deliver(self, invocation: Invocation) -> None:
        assert self._process is not None
        self._to(State.BUSY)
        at_ms = now_ms()
        self._write(self._platform.start(at_ms, invocation.request_id, invocation.trace), at_ms)
        elapsed_ms = (time.perf_counter_ns() - self._started_ns) // 1_000_000
        self._process.session.deliver(
            Work(
                invocation.request_id,
                invocation.payload,
                at_ms - elapsed_ms + self.version.timeout_s * 1000,
                invocation.invoked_arn,
                invocation.trace_id,
                invocation.client_context,
                invocation.cognito_identity,
            )
        )

    def _answer(self, payload: bytes, function_error: str, error_type: str, next_state: State) -> None:
        """End the running invocation: its last output, END and REPORT, and whoever waits for the outcome."""
        invocation = self._invocation
        assert invocation is not None
        duration_ms = (time.perf_counter_ns() - self._started_ns) / 1e6
        if error_type == faults.TIMEOUT:
            duration_ms = self.version.timeout_s * 1000.0  # to the millisecond, as AWS reports and bills it
        self._cancel_timer()
        if self._process is not None:
            self._process.drain(whole=next_state is not State.IDLE)
            self._log.flush()
        init_ms, self._init_ms = self._init_ms, None
        outcome = Outcome(
            payload,
            function_error,
            error_type,
            duration_ms,
            lines.billed_ms(duration_ms, init_ms or 0.0),
            init_ms,
            (self._max_rss_kib + 1023) // 1024,
            invocation.log_tail,
            trace=invocation.trace,
            provisioned=self.provisioned,
        )
        if self._streamed is not None:
            outcome = self._end_stream(outcome)
        # A handler's own error leaves no mark on REPORT: the runtime lives on and reported it itself.
        status = "" if next_state is State.IDLE else "timeout" if error_type == faults.TIMEOUT else "error"
        at_ms = now_ms()
        self._write(self._platform.end(at_ms, invocation.request_id, outcome, status), at_ms)
        self._write(self._platform.report(at_ms, invocation.request_id, outcome, status), at_ms)
        self._invocation = None
        self.state = check(self.state, next_state)
        invocation.done(outcome)
        self._rest()

    def _end_stream(self, outcome: Outcome) -> Outcome:
        streamed, self._streamed = self._streamed, None
        assert streamed is not None
        streamed.end()
        return streamed.tell(outcome)

    # -- faults ------------------------------------------------------------------------------------------------------

    def _timed_out(self) -> None:
        invocation = self._invocation
        assert invocation is not None
        self._timer = None
        if self.state is State.RESETTING:  # the process is still being made: nothing to kill yet
            self._to(State.INITIALIZING)
        self._stop_process()
        self._begin_log(invocation)
        self._answer(
            faults.timed_out(invocation.request_id, self.version.timeout_s),
            "Unhandled",
            faults.TIMEOUT,
            State.RESETTING,
        )

    def _died(self, status: int) -> None:
        """The process ended by itself, or was found out."""
        if self.state is State.INITIALIZING:
            self._init_over(faults.EXIT_ERROR, b"", status)
        elif self.state is State.BUSY:
            invocation = self._invocation
            assert invocation is not None
            self._stop_process()
            self._answer(faults.exited(invocation.request_id, status), "Unhandled", faults.EXIT_ERROR, State.RESETTING)
        elif self.state is State.IDLE:
            self._stop_process()
            self._to(State.RESETTING)
            self._owner.lost(self)

    def _init_timed_out(self) -> None:
        self._timer = None
        self._init_over(faults.TIMEOUT, b"")

    def _init_over(self, error_type: str, body: bytes, status: int = 0) -> None:
        """Initialisation failed. In the init phase the first invocation retries it; in that retry it is the answer."""
        invocation = self._invocation
        init_ms = (time.perf_counter_ns() - self._init_started_ns) / 1e6
        self._stop_process()
        outcome = "timeout" if error_type == faults.TIMEOUT else "error"
        self._log_init(init_ms, outcome, error_type if outcome == "error" else "")
        if invocation is None:
            self._cancel_timer()
            self._to(State.RESETTING)
            self._rest()
            return
        self._begin_log(invocation)
        answer = body or faults.exited(invocation.request_id, status)
        self._answer(answer, "Unhandled", error_type, State.RESETTING)

    def _begin_log(self, invocation: Invocation) -> None:
        """START for an invocation whose runtime never took it."""
        if self.state is State.INITIALIZING:
            at_ms = now_ms()
            self._write(self._platform.start(at_ms, invocation.request_id, invocation.trace), at_ms)

    def _stop_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            # a process that never got to say how much memory it took: initialisation hung, or was cut short
            self._max_rss_kib = self._max_rss_kib or process.peak_rss_kib()
            process.dispose()
            self._log.flush()

    # -- resting and retiring ----------------------------------------------------------------------------------------

    def _rest(self) -> None:
        if not self._launching:  # timed out while its process was being made: it reports when that is ready
            self.idle_since = time.monotonic()
            self._owner.available(self)

    def retire(self) -> None:
        """End it, whatever it is doing; the owner hears when it is gone."""
        if self._ending:
            return
        invocation, self._invocation = self._invocation, None
        self._to(State.RETIRING)
        self._cancel_timer()
        self._streamed = None
        self._stop_process()
        if invocation is not None:
            reason = "the node stopped before the function answered"
            invocation.done(
                Outcome(payload=faults.error_body(faults.FAILURE, reason), error_type=faults.FAILURE, never_ran=True)
            )
        self._finish_retiring()

    def _finish_retiring(self) -> None:
        self._close_servers()
        self._spawn(self._destroy())

    async def _destroy(self) -> None:
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            await sandbox.destroy()
        self._to(State.GONE)
        self._owner.gone(self)

    def _close_servers(self) -> None:
        for server in self._servers:
            server.close()
        self._servers = []

    # -- small parts -------------------------------------------------------------------------------------------------

    def _to(self, new: State) -> None:
        self.state = check(self.state, new)

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _log_init(self, init_ms: float, status: str, error_type: str = "") -> None:
        if self._process is not None:
            self._process.drain()  # what the module printed stands before what tells that it is loaded
        at_ms = now_ms()
        for message in self._platform.initialized(at_ms, init_ms, self._init_phase, status, error_type):
            self._write(message, at_ms)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
