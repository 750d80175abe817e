"""S3's event names, and which notification configurations an event and a key match.

Source: S3 user guide, "Event notification types and destinations" and "Configuring event notifications using object
key name filtering".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

EVENT_NAMES = frozenset(
    {
        "s3:ReducedRedundancyLostObject",
        *(f"s3:ObjectCreated:{kind}" for kind in ("*", "Put", "Post", "Copy", "CompleteMultipartUpload")),
        *(f"s3:ObjectRemoved:{kind}" for kind in ("*", "Delete", "DeleteMarkerCreated")),
        *(f"s3:ObjectRestore:{kind}" for kind in ("*", "Post", "Completed", "Delete")),
        "s3:Replication:*",
        "s3:Replication:OperationFailedReplication",
        "s3:Replication:OperationMissedThreshold",
        "s3:Replication:OperationReplicatedAfterThreshold",
        "s3:Replication:OperationNotTracked",
        *(f"s3:LifecycleExpiration:{kind}" for kind in ("*", "Delete", "DeleteMarkerCreated")),
        "s3:LifecycleTransition",
        "s3:IntelligentTiering",
        "s3:ObjectAcl:Put",
        *(f"s3:ObjectTagging:{kind}" for kind in ("*", "Put", "Delete")),
    }
)


class KeyFilter(msgspec.Struct, frozen=True, gc=False):
    """None is a rule that is not there."""

    prefix: str | None = None
    suffix: str | None = None

    def matches(self, key: str) -> bool:
        return key.startswith(self.prefix or "") and key.endswith(self.suffix or "")

    def overlaps(self, other: KeyFilter) -> bool:
        """Whether some key could match both: one prefix starts the other, and one suffix ends the other."""
        prefix, other_prefix = self.prefix or "", other.prefix or ""
        suffix, other_suffix = self.suffix or "", other.suffix or ""
        prefixes = prefix.startswith(other_prefix) or other_prefix.startswith(prefix)
        return prefixes and (suffix.endswith(other_suffix) or other_suffix.endswith(suffix))

    @property
    def empty(self) -> bool:
        return self.prefix is None and self.suffix is None


def event_matches(configured: Sequence[str], event: str) -> bool:
    """`event` is a full name, `s3:ObjectCreated:Put`."""
    return event in configured or family(event) in configured


def family(event: str) -> str:
    """`s3:ObjectCreated:Put` -> `s3:ObjectCreated:*`; names without a third part stand for themselves."""
    return f"{event.rpartition(':')[0]}:*" if event.count(":") == 2 else event


def shared_events(one: Sequence[str], other: Sequence[str]) -> tuple[str, str] | None:
    """The first pair of names, one from each, that a single event can match."""
    for name in one:
        for against in other:
            if name == against or family(name) == against or family(against) == name:
                return name, against
    return None
