"""The environment variables Lambda gives a function, except those that depend on where its sandbox put things.

The launcher adds LAMBDA_TASK_ROOT, LAMBDA_RUNTIME_DIR, AWS_LAMBDA_RUNTIME_API, AWS_ENDPOINT_URL, PATH and
LD_LIBRARY_PATH. Source: developer guide, "Defined runtime environment variables".
"""

from __future__ import annotations

from pilotlight.catalog.credentials import Credentials
from pilotlight.catalog.records import FunctionVersion
from pilotlight.environments.invocation import Initialization


def function_environ(
    version: FunctionVersion, credentials: Credentials, log_stream: str, initialization: Initialization
) -> dict[str, str]:
    """What the function's process finds in its environment; the function's own variables win where AWS lets them."""
    environ = {
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
    }
    environ.update(version.environment)
    environ.update(
        {
            "_HANDLER": version.handler,
            "AWS_REGION": version.region,
            "AWS_DEFAULT_REGION": version.environment.get("AWS_DEFAULT_REGION", version.region),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": version.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mib),
            "AWS_LAMBDA_FUNCTION_VERSION": version.version,
            "AWS_LAMBDA_INITIALIZATION_TYPE": initialization,
            "AWS_LAMBDA_LOG_GROUP_NAME": version.log_group_name,
            "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
            "AWS_LAMBDA_LOG_FORMAT": version.log_format,
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
            "_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1",
            "_AWS_XRAY_DAEMON_PORT": "2000",
        }
    )
    if version.application_log_level:
        environ["AWS_LAMBDA_LOG_LEVEL"] = version.application_log_level
    return environ
