"""A session owner that writes down what it is told: the environment's side, kept small."""

from __future__ import annotations

import asyncio
from typing import Any


class Recorder:
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.stream_room = 1 << 30
        self.transport: asyncio.ReadTransport | None = None

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

    def runtime_began_stream(self, content_type: str, transport: asyncio.ReadTransport) -> None:
        self.transport = transport
        self.told.append(("began_stream", content_type))

    def runtime_streamed(self, chunk: bytes) -> bool:
        self.told.append(("streamed", chunk))
        self.stream_room -= len(chunk)
        return self.stream_room >= 0

    def runtime_ended_stream(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        self.told.append(("ended_stream", error_type, body, max_rss_kib))

    def runtime_cut_stream(self) -> None:
        self.told.append(("cut_stream",))
