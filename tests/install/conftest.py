"""Builds every package and installs the wheel files in fresh environments. Run by `hatch run wheels:check`."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.architecture.packages import PACKAGES
from tests.install.wheels import Built, Environment, build, make_environment


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """The built packages by name of the distribution."""
    root = tmp_path_factory.mktemp("build")
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda package: build(package, root / package.dist), PACKAGES)
        return {package.dist: result for package, result in zip(PACKAGES, results, strict=True)}


@pytest.fixture(scope="session")
def installed(built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with all wheels and their requirements, and nothing else."""
    return make_environment(tmp_path_factory.mktemp("installed") / "venv", built)


@pytest.fixture(scope="session")
def beside_another_plugin(built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with a Flyte plugin that ships `flyteplugins/__init__.py`, though it should not."""
    environment = make_environment(tmp_path_factory.mktemp("beside") / "venv", built)
    # Without its dependencies, which are gigabytes: only the namespace matters here.
    environment.install("--no-deps", "flyteplugins-vllm==2.12.1")
    return environment
