"""What can go wrong when a process is to be confined, each as a sentence an operator can act on."""

from __future__ import annotations


class LaunchError(Exception):
    """An environment could not be started; the message says what was tried and why it failed."""


class LaunchKilled(LaunchError):
    """Somebody killed the process while it was being confined: nothing says that another would not start."""


class SandboxLost(LaunchError):
    """A kept sandbox went with the zygote that owned its namespaces: a reset needs a new sandbox."""


class ZygoteLost(LaunchError):
    """The zygote died while it had the order: nothing of the launch is left, and another zygote can take it."""
