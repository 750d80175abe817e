"""Optimistic locking: a change that names the RevisionId its client read last happens only if that is still current."""

from __future__ import annotations

from pilotlight.errors import PreconditionFailedException


def check_revision(current: str, given: str | None, read_with: str) -> None:
    """Raise PreconditionFailedException unless `given` is absent or current; `read_with` names the operation to read it
    with."""
    if given and given != current:
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. "
            f"Call the {read_with} API to retrieve the latest Revision Id"
        )
