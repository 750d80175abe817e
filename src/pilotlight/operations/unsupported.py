"""What AWS offers and this version of Pilotlight cannot do yet: asked for, it is refused, never silently ignored.

One table, so that whoever builds one of these removes one line. Empty forms (no layers, a VpcConfig without subnets,
SnapStart None) ask for nothing and pass. The model's own constraints have been checked before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pilotlight.errors import InvalidParameterValueException


class Unsupported(NamedTuple):
    path: tuple[str, ...]
    """The member, from the top; those of Code (FunctionCode) stand at the top, as in UpdateFunctionCode."""
    sentence: str
    """Subject and verb."""
    value: str = ""
    """Refused with this value only; "": with any that is not empty."""


TABLE = (
    Unsupported(("PackageType",), "Container images (PackageType Image) are", "Image"),
    Unsupported(("ImageUri",), "Container images (ImageUri) are"),
    Unsupported(("ImageConfig",), "ImageConfig is"),
    Unsupported(("Layers",), "Layers are"),
    Unsupported(("VpcConfig", "SubnetIds"), "A VpcConfig with subnets is"),
    Unsupported(("VpcConfig", "SecurityGroupIds"), "A VpcConfig with security groups is"),
    Unsupported(("FileSystemConfigs",), "FileSystemConfigs are"),
    Unsupported(("SnapStart", "ApplyOn"), "SnapStart is", "PublishedVersions"),
    Unsupported(("DeadLetterConfig", "TargetArn"), "A DeadLetterConfig is"),
    Unsupported(("KMSKeyArn",), "Encryption with a key of your own (KMSKeyArn) is"),
    Unsupported(("SourceKMSKeyArn",), "Encryption with a key of your own (SourceKMSKeyArn) is"),
    Unsupported(("S3ObjectStorageMode",), "S3ObjectStorageMode REFERENCE is", "REFERENCE"),
    Unsupported(("CodeSigningConfigArn",), "Code signing (CodeSigningConfigArn) is"),
    Unsupported(("TenancyConfig",), "TenancyConfig is"),
    Unsupported(("CapacityProviderConfig",), "CapacityProviderConfig is"),
    Unsupported(("PublishTo",), "PublishTo is"),
    Unsupported(("DurableConfig",), "DurableConfig is"),
    Unsupported(("AcceleratorConfig",), "AcceleratorConfig is"),
    Unsupported(("RuntimeConfig",), "A customer-managed runtime (RuntimeConfig) is"),
    Unsupported(("Runtime",), "A customer-managed runtime (Runtime custom) is", "custom"),
)


def refuse(params: Mapping[str, Any]) -> None:
    """Raise InvalidParameterValueException naming the first thing asked for that cannot be done."""
    given = {**params, **params.get("Code", {})}
    for path, sentence, value in TABLE:
        asked: Any = given
        for member in path:
            asked = asked.get(member) or {}
        if asked == value if value else asked:
            raise InvalidParameterValueException(f"{sentence} not supported by this version of Pilotlight.")
