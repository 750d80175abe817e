"""The locked versions: complete, hashed, without an address, and one set of versions for running and for developing."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENTS = [f"tests/clients/{name}/requirements.lock" for name in ("sam", "chalice")]
LOCKS = ["requirements.lock", "requirements-dev.lock", "examples/thumbnail/requirements.txt", *CLIENTS]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked(name: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / name).read_text(), flags=re.MULTILINE)
    return {normal(package): version for package, version in found}


def normal(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_lock_is_hashed_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)
    assert not re.search(r"https?://|--index-url|--find-links|--trusted-host| @ ", text)


def test_lock_of_javascript_is_hashed_and_names_no_registry() -> None:
    lock = json.loads((ROOT / "tests/clients/javascript/package-lock.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert packages
    assert all("integrity" in package and "resolved" not in package for package in packages.values())


def test_runtime_lock_has_every_dependency() -> None:
    assert {normal(requirement) for requirement in PROJECT["dependencies"]} <= set(locked("requirements.lock"))


def test_development_lock_has_everything_in_the_same_versions() -> None:
    development = locked("requirements-dev.lock")
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    assert {normal(requirement) for requirement in wanted} <= set(development)
    assert locked("requirements.lock").items() <= development.items()
