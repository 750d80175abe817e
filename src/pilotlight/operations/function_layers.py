"""The layers a function names: each looked up, permitted, and counted with its code, before the function refers to it.

What AWS does not check is not checked here: a layer's compatible runtimes and architectures are labels for lists, and
a function may use a layer that does not name its own. Source: errors recorded by LocalStack's snapshot tests and quoted
in public issue threads; on architectures, aws-cdk's pull request 16719.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.held import RUNS
from pilotlight.catalog.layers import LayerVersion
from pilotlight.catalog.records import FunctionLayer, FunctionVersion
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.code import check_architecture
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.layers import check_shared, layer_version
from pilotlight.wire.messages import Call

MAX_LAYERS = 5
GET_LAYER_VERSION = "lambda:GetLayerVersion"


def resolve_layers(context: OperationsContext, call: Call, arns: Sequence[str]) -> tuple[FunctionLayer, ...]:
    """What a function keeps of the layer versions `arns` names, in their order.

    Raises InvalidParameterValueException and AccessDeniedException. Whether they go with the function is
    `check_layers`'s question.
    """
    if len(arns) > MAX_LAYERS:
        raise InvalidParameterValueException(f"Cannot reference more than {MAX_LAYERS} layers.")
    used: dict[str, FunctionLayer] = {}
    for arn in arns:
        name, version = _found(context, call, arn)
        before = used.get(name.layer_arn)
        if before is not None:
            raise InvalidParameterValueException(
                "Two different versions of the same layer are not allowed to be referenced in the same function. "
                f"{before.arn} and {name.arn} are versions of the same layer."
            )
        used[name.layer_arn] = FunctionLayer(
            name.arn, version.code_size, version.code_blob, version.unzipped_size, version.native
        )
    return tuple(used.values())


def check_layers(context: OperationsContext, function: FunctionVersion) -> None:
    """Refuse layers that are too large by themselves or together with the function's code (bytes unpacked), and those
    whose compiled files this machine cannot run: to be asked whenever code, layers, runtime or architecture change."""
    limit_bytes = context.settings.max_unzipped_bytes
    in_layers = sum(layer.unzipped_size for layer in function.layers)
    if in_layers > limit_bytes:
        raise InvalidParameterValueException(f"Layers consume more than the available size of {limit_bytes} bytes")
    together = in_layers + function.unzipped_size
    if in_layers and together > limit_bytes:
        raise InvalidParameterValueException(
            f"Function code combined with layers exceeds the maximum allowed size of {limit_bytes} bytes. "
            f"The actual size is {together} bytes."
        )
    native = [
        msgspec.structs.replace(layer.native, path=f"{layer.native.path} of the layer {layer.arn}")
        for layer in function.layers
        if layer.native
    ]
    if function.runtime in RUNS:
        check_architecture(native, function.architecture)


def _found(context: OperationsContext, call: Call, arn: str) -> tuple[names.LayerName, LayerVersion]:
    name = names.parse_layer(arn, call.account, call.region)
    if name is None or name.version is None:  # arn:aws:lambda:::awslayer:NAME, which the model lets pass
        raise InvalidParameterValueException(f"Layer version {arn} does not exist.")
    check_shared(context, call, name, GET_LAYER_VERSION)
    if name.region != call.region:
        raise InvalidParameterValueException(
            f"Layers are not in the same region as the function. Layers are expected to be in region {call.region}."
        )
    version = layer_version(context, name)
    if version is None:
        raise InvalidParameterValueException(f"Layer version {arn} does not exist.")
    return name, version
