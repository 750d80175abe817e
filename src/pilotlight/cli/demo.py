"""`pilotlight demo`: the main job on real input, step by step and timed.

A node, a bucket, AWS's own thumbnail function, a 12-megapixel photo. Everything goes through boto3 and a real
`pilotlight up`; nothing in here is known to the node. What ran is then what a user would deploy.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pilotlight.cli.demo_package import RUNTIME, build_zip, example_dir, vendored_pillow, with_pillow
from pilotlight.cli.node_process import NodeProcess
from pilotlight.cli.steps import StepFailed, Steps

BUCKET = "photos"
FUNCTION = "thumbnail"
MEMORY_MIB = 512
LARGEST = 300
REGION = "us-east-1"
TRIGGER_LIMIT_S = 60.0
COLD_CALLS, WARM_CALLS = 5, 300
_NOTHING_TO_DO = json.dumps({"Records": []}).encode()
_WAITER = {"Delay": 0.02, "MaxAttempts": 1500}
_REPORT = re.compile(r"\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms\tMemory Size: (\d+) MB")

T = TypeVar("T")


@click.command()
@click.option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Your own picture instead of the one the demo makes.",
)
def demo(image: Path | None) -> None:
    """Watch a real function run: a photo goes in, a thumbnail comes out.

    Starts a node of its own (with a temporary data directory), creates a bucket and AWS's thumbnail function with
    boto3, uploads a 12-megapixel photo, and shows what the function wrote, what it logged, how fast it was and what
    it would have cost on AWS. In a terminal the node then stays up until Ctrl-C.
    """
    click.secho("Pilotlight: a photo goes in, a thumbnail comes out\n", bold=True)
    work = Path(tempfile.mkdtemp(prefix="pilotlight-demo-"))
    node = NodeProcess(work / "data", dies_with_us=True, port=4566 if _is_free(4566) else 0)
    # A SIGTERM (CI's way to cancel) ends the demo as Ctrl-C does, so that the node is stopped on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    finished = False
    try:
        _Demo(node, work).run(image)
        finished = True
        if sys.stdin.isatty() and sys.stdout.isatty():
            click.echo("\nThe node stays up. Ctrl-C stops it.")
            while node.is_running():
                time.sleep(0.5)
            raise StepFailed("The node ended by itself.")
        click.echo("\nThis is no terminal, so the node stops here; in one it stays up until Ctrl-C.")
    except StepFailed as error:
        click.echo(f"\n{error}", err=True)
        log = node.log().splitlines()[-25:]
        if log:
            click.echo("\nThe node's last lines:\n  " + "\n  ".join(log), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("\nStopping the node.")
        if not finished:
            sys.exit(130)
    finally:
        node.stop()
        shutil.rmtree(work, ignore_errors=True)


class _Demo:
    """The story; what one step learns and a later one needs is an attribute."""

    def __init__(self, node: NodeProcess, work: Path) -> None:
        self.node = node
        self.work = work
        self.steps = Steps()

    def run(self, image: Path | None) -> None:
        self._start()
        key = self._upload_name(image)
        pillow = self._function(Path(key).suffix)
        self._trigger(image, key, pillow)
        self._logs()
        self._latency()
        self._cost()
        self._by_hand(image, key)

    def _start(self) -> None:
        with self.steps.step("Start a node: pilotlight up") as step:
            self.node.start()
            step.note = self.node.endpoint
        with self.steps.step("Load boto3 and make its clients") as step:
            import boto3.session
            from botocore.config import Config

            # What the user's shell says about AWS is about another place.
            for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CA_BUNDLE"):
                os.environ.pop(name, None)
            session: Any = boto3.session.Session("test", "test", region_name=REGION)
            config = Config(
                retries={"total_max_attempts": 1}, read_timeout=120, s3={"addressing_style": "path"}, proxies={}
            )

            def client(service: str) -> Any:
                return session.client(service, endpoint_url=self.node.endpoint, config=config)

            self.s3, self.functions, self.logs = client("s3"), client("lambda"), client("logs")
            step.note = "endpoint_url is all they are told"
        with self.steps.step(f"Make the bucket {BUCKET}") as step:
            self.s3.create_bucket(Bucket=BUCKET)
            step.note = "S3 is an embedded neighbour, started just now"

    def _upload_name(self, image: Path | None) -> str:
        # The space is on purpose: event keys are URL-encoded, and functions that forget it fail here as on AWS.
        return f"uploads/{image.name}" if image else "uploads/evening at sea.jpg"

    def _function(self, suffix: str) -> Path:
        with self.steps.step(f"Get Pillow for {RUNTIME}") as step:
            pillow = vendored_pillow(_cache_dir())
            step.note = f"kept in {pillow}"
        with self.steps.step("Package the function with Pillow vendored") as step:
            package = build_zip(pillow)
            step.note = f"{example_dir() / 'app.py'}, {len(package) / 1e6:.1f} MB zipped"
        with self.steps.step(f"Create the function {FUNCTION}") as step:
            created = self.functions.create_function(
                FunctionName=FUNCTION,
                Runtime=RUNTIME,
                Role="arn:aws:iam::000000000000:role/thumbnail-role",
                Handler="app.handler",
                Code={"ZipFile": package},
                MemorySize=MEMORY_MIB,
                Timeout=30,
            )
            step.note = f"State {created['State']}, CodeSha256 {created['CodeSha256'][:12]}…"
        with self.steps.step("Wait until it is Active (boto3's waiter)"):
            self.functions.get_waiter("function_active_v2").wait(FunctionName=FUNCTION, WaiterConfig=_WAITER)
        with self.steps.step("Allow the bucket to invoke it (add_permission)"):
            self.functions.add_permission(
                FunctionName=FUNCTION,
                StatementId="photos-may-invoke",
                Action="lambda:InvokeFunction",
                Principal="s3.amazonaws.com",
                SourceArn=f"arn:aws:s3:::{BUCKET}",
                SourceAccount="000000000000",
            )
        with self.steps.step("Notify it of new objects") as step:
            rules = [{"Name": "prefix", "Value": "uploads/"}, {"Name": "suffix", "Value": suffix}]
            self.s3.put_bucket_notification_configuration(
                Bucket=BUCKET,
                NotificationConfiguration={
                    "LambdaFunctionConfigurations": [
                        {
                            "LambdaFunctionArn": created["FunctionArn"],
                            "Events": ["s3:ObjectCreated:*"],
                            "Filter": {"Key": {"FilterRules": rules}},
                        }
                    ]
                },
            )
            step.note = f"s3:ObjectCreated:* on uploads/*{suffix}"
        return pillow

    def _trigger(self, image: Path | None, key: str, pillow: Path) -> None:
        with self.steps.step(f"Open {image.name}" if image else "Make a 12-megapixel photo") as step:
            photo = image or self.work / "photo.jpg"
            if image is None:
                with_pillow(pillow, "make", photo)
            width, height, kind = with_pillow(pillow, "look", photo).split()
            step.note = f"{width} x {height} {kind}, {photo.stat().st_size / 1e6:.1f} MB"
        with self.steps.step("Upload it") as step:
            with photo.open("rb") as body:
                self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
            step.note = f"s3://{BUCKET}/{key}; its event is on disk before the 200"
        result = f"thumbnails/{Path(key).name}"
        with self.steps.step("Wait for the thumbnail") as step:
            self._eventually(lambda: self._exists(result), f"s3://{BUCKET}/{result}")
            step.note = f"s3://{BUCKET}/{result}; the upload alone made the function run"
        with self.steps.step("Download it and look at it") as step:
            thumbnail = self.work / f"thumbnail{Path(key).suffix}"
            thumbnail.write_bytes(self.s3.get_object(Bucket=BUCKET, Key=result)["Body"].read())
            small_width, small_height, kind = with_pillow(pillow, "look", thumbnail).split()
            if max(int(small_width), int(small_height)) > LARGEST:
                raise ValueError(f"it is {small_width} x {small_height}, not at most {LARGEST} x {LARGEST}")
            step.note = f"{small_width} x {small_height} {kind}, {thumbnail.stat().st_size / 1e3:.0f} kB"

    def _logs(self) -> None:
        group = f"/aws/lambda/{FUNCTION}"
        with self.steps.step("Read its log (CloudWatch Logs API)") as step:
            stream, messages = self._eventually(lambda: self._finished_stream(group), f"a REPORT line in {group}")
            step.note = f"{group} {stream}"
        click.echo()
        for message in messages:
            click.secho(f"       {message}", fg="cyan")
        click.echo()

    def _latency(self) -> None:
        """Calls with nothing to do: what is left is Pilotlight (and, cold, importing boto3 and Pillow)."""
        with self.steps.step(f"Invoke it cold, {COLD_CALLS} times") as step:
            cold: list[float] = []
            for number in range(COLD_CALLS):
                self.functions.update_function_configuration(FunctionName=FUNCTION, Description=f"cold start {number}")
                self.functions.get_waiter("function_updated_v2").wait(FunctionName=FUNCTION, WaiterConfig=_WAITER)
                cold.append(self._timed_call_ms())
            step.note = f"p50 {_quantile(cold, 0.5):.1f} ms: a new environment, Pillow and an S3 client"
        with self.steps.step(f"Invoke it warm, {WARM_CALLS} times") as step:
            warm = [self._timed_call_ms() for _ in range(WARM_CALLS)]
            step.note = f"p50 {_quantile(warm, 0.5):.2f} ms, p99 {_quantile(warm, 0.99):.2f} ms: most of it boto3's own"

    def _timed_call_ms(self) -> float:
        started = time.perf_counter()
        answer = self.functions.invoke(FunctionName=FUNCTION, Payload=_NOTHING_TO_DO)
        answer["Payload"].read()
        if "FunctionError" in answer:
            raise RuntimeError(f"the function failed; see its log ({answer['FunctionError']})")
        return (time.perf_counter() - started) * 1000

    def _cost(self) -> None:
        from pilotlight.observe import billing

        expected = 1 + COLD_CALLS + WARM_CALLS
        with self.steps.step("Add up what AWS would have billed"):
            billed = self._eventually(lambda: self._billed(expected), f"{expected} REPORT lines")
        gb_seconds = sum(billing.gb_seconds(memory_mib, billed_ms) for _, billed_ms, memory_mib in billed)
        all_of_it = _list_price(len(billed), gb_seconds)
        # The first was the thumbnail. A million of them would be warm ones: its duration, without its init.
        duration_ms, _, memory_mib = billed[0]
        warm_ms = math.ceil(duration_ms)
        million = _list_price(1_000_000, 1_000_000 * billing.gb_seconds(memory_mib, warm_ms))
        prices = billing.PRICES
        click.echo(
            f"\n  On AWS these {len(billed)} requests and {gb_seconds:.2f} GB-s would cost ${all_of_it:.6f},"
            f" and a million thumbnails of {warm_ms} ms each ${million:,.2f}"
            f"\n  (${prices.million_requests:.2f} per million requests, ${prices.x86_64[0][1]:.10f} per GB-second,"
            " no free tier)."
        )

    def _by_hand(self, image: Path | None, key: str) -> None:
        aws = f"aws --endpoint-url {self.node.endpoint}"
        picture = image or "YOUR-PICTURE" + Path(key).suffix
        name = Path(str(picture)).name
        credentials = f"AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION={REGION}"
        click.echo("\n  Go on by hand, with the AWS CLI:\n")
        for command in (
            f"export {credentials}",
            f'{aws} s3 cp "{picture}" "s3://{BUCKET}/uploads/{name}"',
            f'{aws} s3 cp "s3://{BUCKET}/thumbnails/{name}" .',
            f"{aws} logs tail /aws/lambda/{FUNCTION} --follow --since 10s",
            f"{aws} lambda invoke --function-name {FUNCTION} --cli-binary-format raw-in-base64-out"
            " --payload '{\"Records\": []}' /dev/stdout",
        ):
            click.secho(f"    {command}", fg="green")
        option = "" if self.node.port == 4566 else f" --endpoint {self.node.endpoint}"
        click.echo("\n  or with Pilotlight's own:\n")
        click.secho(f"    {_own_command()} logs -f {FUNCTION} --since 10s{option}", fg="green")
        click.secho(f"    {_own_command()} invoke {FUNCTION} -p '{{\"Records\": []}}' --tail{option}", fg="green")

    def _exists(self, key: str) -> bool:
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=key)
        return any(item["Key"] == key for item in listed.get("Contents", []))

    def _finished_stream(self, group: str) -> tuple[str, list[str]] | None:
        """The stream that holds the one REPORT line so far, and its messages; None while there is none."""
        try:
            streams = self.logs.describe_log_streams(logGroupName=group)["logStreams"]
        except self.logs.exceptions.ResourceNotFoundException:
            return None
        for stream in streams:
            name = stream["logStreamName"]
            events = self.logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]
            messages = [event["message"].rstrip("\n") for event in events]
            if any(message.startswith("REPORT ") for message in messages):
                return name, messages
        return None

    def _billed(self, expected: int) -> list[tuple[float, int, int]] | None:
        """(duration, billed milliseconds, memory size) of each invocation, oldest first; None until all are there."""
        found: list[tuple[float, int, int]] = []
        pages = self.logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{FUNCTION}", filterPattern="REPORT"
        )
        for page in pages:
            for event in page["events"]:
                match = _REPORT.search(event["message"])
                if match:
                    found.append((float(match[1]), int(match[2]), int(match[3])))
        return found if len(found) >= expected else None

    def _eventually(self, condition: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + TRIGGER_LIMIT_S
        pause_s = 0.002
        while True:
            result = condition()
            if result:
                return result
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not appear within {TRIGGER_LIMIT_S:.0f} s{self._log_so_far()}")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.1)

    def _log_so_far(self) -> str:
        """The function's log, where there is one: most often the cause stands there."""
        try:
            events = self.logs.filter_log_events(logGroupName=f"/aws/lambda/{FUNCTION}")["events"]
        except Exception:
            return "; the function has logged nothing"
        lines = [str(event["message"]).rstrip("\n") for event in events[-15:]]
        return "; the function's log:\n  " + "\n  ".join(lines) if lines else "; the function has logged nothing"


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _cache_dir() -> Path:
    """The cache a node would use; a temporary one where a user has no home that can be written to."""
    from pilotlight.settings import load

    path = load().cache_path
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        path = Path(tempfile.gettempdir()) / "pilotlight-cache"
        path.mkdir(parents=True, exist_ok=True)
    return path


def _own_command() -> str:
    """How to call `pilotlight` from here: by name where the shell would find it, else by its path."""
    if shutil.which("pilotlight"):
        return "pilotlight"
    script = Path(sys.executable).parent / "pilotlight"
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)


def _list_price(requests: int, gb_seconds: float) -> float:
    """US dollars, on demand on x86_64, before the free tier."""
    from pilotlight.observe.billing import PRICES

    return requests * PRICES.million_requests / 1e6 + gb_seconds * PRICES.x86_64[0][1]
