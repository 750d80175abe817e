"""How much provisioned concurrency each version of a function is to have: what its qualifiers ask for, followed to the
versions they name. Admission sets it aside, and the pool keeps that many environments."""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.catalog.records import LATEST, Function


def provisioned_by_version(function: Function) -> dict[str, int]:
    """Version -> environments, over all qualifiers; versions that get none are not in it."""
    wanted: dict[str, int] = {}
    for qualifier in function.provisioned:
        for version, count in provisioned_of(function, qualifier).items():
            wanted[version] = wanted.get(version, 0) + count
    return wanted


def provisioned_of(function: Function, qualifier: str) -> Mapping[str, int]:
    """Version -> environments, for one qualifier. An alias takes its concurrency with it when it moves, and one with a
    weight divides it by the weight, as AWS does during a canary deployment. Nothing for one that does not exist."""
    config = function.provisioned.get(qualifier)
    if config is None:
        return {}
    alias = function.aliases.get(qualifier)
    if alias is None:
        return {qualifier: config.requested} if qualifier.isdecimal() else {}
    shares: dict[str, int] = {}
    left = config.requested
    for version, weight in alias.weights.items():
        shares[version] = share = min(left, round(config.requested * weight))
        left -= share
    shares[alias.version] = shares.get(alias.version, 0) + left
    return {version: share for version, share in shares.items() if share and version != LATEST}


def provisioned_in_all(function: Function) -> int:
    """Over all qualifiers."""
    return sum(config.requested for config in function.provisioned.values())


def set_aside(function: Function) -> int:
    """What of its account's concurrency is this function's alone: provisioned concurrency is part of a reservation."""
    reserved = function.reserved_concurrency
    return provisioned_in_all(function) if reserved is None else reserved
