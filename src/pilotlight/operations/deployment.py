"""New code for a function, however it is packaged: checked, stored and described before the function refers to it."""

from __future__ import annotations

import msgspec

from pilotlight.catalog.held import RUNS
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations import code_signing
from pilotlight.operations.code import Params, StoredCode, check_architecture, referred_to, store_package
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.images import image_code
from pilotlight.store.zips import PackageInfo
from pilotlight.wire.messages import Call


class Deployed(msgspec.Struct, frozen=True):
    """The function that code is for, as far as code depends on it."""

    package_type: str
    runtime: str
    architecture: str
    code_signing_config_arn: str
    doing: str
    """"creating" or "updating", as AWS's sentences have it."""


async def deploy(context: OperationsContext, call: Call, code: Params, function: Deployed) -> StoredCode:
    """The code that `code` (FunctionCode, or UpdateFunctionCode's members) names.

    A Python package this machine cannot run is refused; what has no engine here yet is kept as it is.
    """
    if function.package_type == "Image":
        return image_code(code, function.doing)
    if code.get("ImageUri"):
        raise InvalidParameterValueException(
            f"Please don't provide ImageUri when {function.doing} a function with packageType Zip."
        )
    s3_object = referred_to(code)
    code_signing.check_artifact(context, call, function.code_signing_config_arn)

    def check(info: PackageInfo) -> None:
        if function.runtime in RUNS:
            check_architecture(info.native, function.architecture)

    stored, _ = await store_package(context, call, code, check)
    return msgspec.structs.replace(stored, s3_object=s3_object, source_kms_key_arn=code.get("SourceKMSKeyArn", ""))
