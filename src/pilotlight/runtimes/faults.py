"""The answers Lambda gives in a function's stead when the function cannot: error bodies, by AWS's names and wording.

Source: the Runtime Interface Emulator's `fatalerror`, and answers recorded from AWS (`Sandbox.Timedout`).
"""

from __future__ import annotations

import json
import signal

EXIT_ERROR = "Runtime.ExitError"
TIMEOUT = "Sandbox.Timedout"
FAILURE = "Sandbox.Failure"
TRUNCATED = "Runtime.TruncatedResponse"
TOO_LARGE = "Function.ResponseSizeTooLarge"


def error_body(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}, separators=(",", ":")).encode()


def timed_out(request_id: str, timeout_s: int) -> bytes:
    return error_body(TIMEOUT, f"RequestId: {request_id} Error: Task timed out after {timeout_s}.00 seconds")


def too_large(limit_bytes: int) -> bytes:
    return error_body(TOO_LARGE, f"Response payload size exceeded maximum allowed payload size ({limit_bytes} bytes).")


def truncated(request_id: str) -> bytes:
    return error_body(TRUNCATED, f"RequestId: {request_id} Error: the response broke off before its end")


def exited(request_id: str, status: int) -> bytes:
    """`status` as `os.waitstatus_to_exitcode` gives it: negative for a signal."""
    return error_body(EXIT_ERROR, f"RequestId: {request_id} Error: {exit_reason(status)}")


def exit_reason(status: int) -> str:
    if status == 0:
        return "Runtime exited without providing a reason"
    if status > 0:
        return f"Runtime exited with error: exit status {status}"
    return f"Runtime exited with error: signal: {_SIGNAL_WORDS.get(-status, f'signal {-status}')}"


#: Go's words for signals, which Lambda's platform (written in Go) uses
_SIGNAL_WORDS: dict[int, str] = {
    signal.SIGHUP: "hangup",
    signal.SIGINT: "interrupt",
    signal.SIGQUIT: "quit",
    signal.SIGILL: "illegal instruction",
    signal.SIGTRAP: "trace/breakpoint trap",
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGKILL: "killed",
    signal.SIGUSR1: "user defined signal 1",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGUSR2: "user defined signal 2",
    signal.SIGPIPE: "broken pipe",
    signal.SIGALRM: "alarm clock",
    signal.SIGTERM: "terminated",
}
