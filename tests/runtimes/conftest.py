"""One launcher per test module, on the module's event loop; runtime sets are kept between runs."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from pilotlight.runtimes.python.launcher import PythonLauncher
from pilotlight.settings import Settings
from tests.runtimes.harness import write_package


@pytest.fixture(scope="session")
def cache_dir(pytestconfig: pytest.Config) -> str:
    """Where runtime sets and downloaded wheels stay from one run to the next."""
    root = Path(os.environ.get("PILOTLIGHT_TEST_CACHE") or pytestconfig.rootpath / ".cache" / "tests")
    root.mkdir(parents=True, exist_ok=True)
    return str(root)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def launcher(cache_dir: str) -> AsyncIterator[PythonLauncher]:
    """The driver this machine gets by default."""
    launcher = PythonLauncher(Settings(cache_dir=cache_dir))
    await launcher.start()
    yield launcher
    await launcher.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def confined(launcher: PythonLauncher) -> PythonLauncher:
    """The launcher, where it confines."""
    facts = launcher.describe()
    if facts.driver != "namespaces":
        pytest.skip(facts.reason)
    return launcher


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Mapping[str, str | bytes] | str], str]]:
    """Write a package, get its directory."""
    root = tmp_path_factory.mktemp("packages")
    numbers = itertools.count()

    def write(files: Mapping[str, str | bytes] | str) -> str:
        return write_package(root / str(next(numbers)), files)

    yield write
