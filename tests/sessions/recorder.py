"""A session owner that writes down what it is told: the environment's side, kept small."""

from __future__ import annotations

from typing import Any


class Recorder:
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def runtime_ready(self, max_rss_kib: int) -> None:
        self.told.append(("ready", max_rss_kib))

    def runtime_init_failed(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        self.told.append(("init_failed", error_type, body, max_rss_kib))

    def runtime_responded(self, body: bytes, max_rss_kib: int, content_type: str) -> None:
        self.told.append(("responded", body, max_rss_kib, content_type))

    def runtime_failed(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        self.told.append(("failed", error_type, body, max_rss_kib))

    def runtime_violated(self, reason: str) -> None:
        self.told.append(("violated", reason))
