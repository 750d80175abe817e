"""What end-to-end tests share: real nodes (in this process or in one of their own), boto3 clients, packages, waits."""

from __future__ import annotations

from tests.support.clients import aws_client
from tests.support.nodes import NodeProcess, RunningNode, node_process, running_node
from tests.support.packages import make_zip
from tests.support.waiting import eventually, eventually_async

__all__ = [
    "NodeProcess",
    "RunningNode",
    "aws_client",
    "eventually",
    "eventually_async",
    "make_zip",
    "node_process",
    "running_node",
]
