"""One frozen Settings object: defaults, then a TOML file, then `PILOTLIGHT_*` environment variables, then flags.

Every field is documented in docs/settings.md, and a test says so.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one node is told. Units are in the names."""

    host: str = "127.0.0.1"
    port: int = 4566
    data_dir: str = ".pilotlight"
    region: str = "us-east-1"
    account_id: str = "000000000000"
    auth: Literal["none", "sigv4"] = "none"
    #: access key id -> secret access key, checked when auth is sigv4
    access_keys: dict[str, str] = {}
    #: bearer token that may read metrics and bills when auth is sigv4, for what cannot sign
    report_token: str = ""
    #: further Host names (without port) that may address the node; loopback names and *.localhost always may
    allowed_hosts: tuple[str, ...] = ()
    #: Origins a browser page may call from; none by default
    allowed_origins: tuple[str, ...] = ()
    #: what function URLs are names under: ID.lambda-url.REGION. and this
    url_domain: str = "localhost"
    #: how long a create stays Pending and an update InProgress
    state_delay_ms: int = 100
    #: how a function is confined: `auto` takes the best the machine allows and says which
    sandbox: Literal["auto", "namespaces", "process"] = "auto"
    #: what a function may reach besides the Runtime API and the AWS endpoint
    network: Literal["none", "host"] = "none"
    #: runtime name -> interpreter path, beside those found on PATH, in pyenv and in uv
    interpreters: dict[str, str] = {}
    runtime_fallback: Literal["none", "nearest"] = "none"
    #: runtimes whose zygote is started with the node instead of at first use
    prewarm_runtimes: tuple[str, ...] = ()
    #: where runtime sets (awslambdaric, boto3) are kept; empty means the user's cache directory
    cache_dir: str = ""
    #: account-wide concurrent executions
    concurrency: int = 1000
    #: how much of it no function may reserve (AWS: 100)
    min_unreserved_concurrency: int = 100
    #: synchronous invocations a second for each unit of concurrency (AWS: 10); 0 for any number
    request_rate: float = 10.0
    #: environments one function may start in ten seconds (AWS: 1,000); 0 for any number
    scaling_rate: float = 1000.0
    #: memory that environments may take together; 0 is four fifths of what is available when the node starts
    memory_mib: int = 0
    #: events of asynchronous invocations that run at once on this node; functions' own concurrency comes first
    async_concurrency: int = 2000
    #: how long an idle environment is kept
    idle_environment_s: int = 600
    #: idle environments kept over all functions before the least recently used one is retired
    max_idle_environments: int = 1000
    #: how long SIGTERM waits for in-flight invocations
    drain_s: float = 10.0
    #: largest request body of a control-plane call (a 50 MB package in base64, and room)
    max_body_bytes: int = 70_167_211
    max_header_bytes: int = 1_048_576
    #: seconds a client may take to send its headers, or to take or send the next piece of a body
    slow_client_s: float = 60.0
    #: bytes of one streamed response (AWS: 200 MB)
    max_streamed_response_bytes: int = 209_715_200
    #: bytes of a streamed response that leave at full speed (AWS: 6 MB), and how fast the rest does; 0: at full speed
    stream_burst_bytes: int = 6_291_456
    stream_bytes_per_s: int = 2_097_152
    #: sum of all unzipped packages (AWS: 300 GB)
    code_storage_bytes: int = 322_122_547_200
    max_unzipped_bytes: int = 262_144_000
    max_zipped_bytes: int = 52_428_800
    #: a function's environment variables, as compact JSON (AWS: 4 KB)
    max_environment_bytes: int = 4096
    #: published function versions on one capacity provider (AWS: 100)
    max_versions_per_capacity_provider: int = 100
    #: accept runtimes that AWS has closed for creation or for updates
    allow_closed_runtimes: bool = False
    #: aliases of one function (AWS has such a limit and publishes no number)
    max_aliases: int = 10_000
    #: operations one durable execution may have
    durable_max_operations: int = 3000
    #: payloads and errors one durable execution may write (AWS: 100 MB)
    durable_max_bytes: int = 104_857_600
    #: filters of one event source mapping (AWS raises it to 10 on request)
    max_event_filters: int = 5
    #: refuse resource policies that open a function to everybody, with PublicPolicyException
    block_public_policies: bool = False
    #: capacity providers of an account in a region (a quota of AWS's that can be raised)
    max_capacity_providers: int = 1000
    #: AWS service (its signing name: s3, sqs, dynamodb ...) -> endpoint URL to use instead of the embedded one; with
    #: credentials in it (http://ACCESS_KEY:SECRET@host:9000) requests are signed with those instead of the client's
    endpoints: dict[str, str] = {}
    #: embedded neighbours on or off; off means only `endpoints` are reachable
    neighbours: bool = True
    #: where spans of sampled invocations are sent: base URL of an OpenTelemetry collector (OTLP/HTTP); empty: nowhere
    otlp_endpoint: str = ""
    #: headers of those requests, for example of who sends them
    otlp_headers: dict[str, str] = {}
    #: what is sampled where neither the caller nor AWS's rule says: `aws` nothing, `all` everything
    trace_sampling: Literal["aws", "all"] = "aws"
    #: what AWS charges, by the names of docs/billing.md; those not given are us-east-1's
    prices: dict[str, Any] = {}
    log_retention_days: int = 0
    #: what the node writes about itself on stderr, from this level up (functions' logs are kept elsewhere)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir).absolute()

    @property
    def cache_path(self) -> Path:
        if self.cache_dir:
            return Path(self.cache_dir).absolute()
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        return Path(base).absolute() / "pilotlight"


#: environment variables of the command line that are no settings of a node
_NOT_SETTINGS = frozenset({"PILOTLIGHT_ENDPOINT", "PILOTLIGHT_TRACEBACK"})


class SettingsError(ValueError):
    """A setting is unknown or has a value it cannot have; the message names it."""


def load(file: str | None = None, environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    """Build the settings. `flags` given as None are taken as not given."""
    values: dict[str, Any] = {}
    if file:
        try:
            values.update(tomllib.loads(Path(file).read_text()))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"settings file {file}: {error}") from error
    source = os.environ if environ is None else environ
    for name in source:
        field = name.removeprefix("PILOTLIGHT_")
        if field != name and field.lower() not in Settings.__struct_fields__ and name not in _NOT_SETTINGS:
            raise SettingsError(f"{name}: there is no setting {field.lower()}")
    for name in Settings.__struct_fields__:
        text = source.get(f"PILOTLIGHT_{name.upper()}")
        if text is not None:
            values[name] = _from_text(name, text)
    values.update({name: value for name, value in flags.items() if value is not None})
    try:
        return msgspec.convert(values, Settings, strict=True)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error)) from error


def _from_text(name: str, text: str) -> Any:
    """Environment values: JSON for lists, tables, numbers and booleans; anything else is a string."""
    field = next(f for f in msgspec.structs.fields(Settings) if f.name == name)
    if field.type is str or str(field.type).startswith("typing.Literal"):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SettingsError(f"PILOTLIGHT_{name.upper()}={text!r}: {error}") from error
