"""AWS's wire protocols, driven by botocore's models: route, parse, validate, render, errors."""

from __future__ import annotations

from pilotlight.wire.messages import Call, Handler, WireRequest, WireResponse
from pilotlight.wire.service import ServiceApi

__all__ = ["Call", "Handler", "ServiceApi", "WireRequest", "WireResponse"]
