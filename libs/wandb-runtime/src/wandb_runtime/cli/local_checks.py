"""Checks of this machine that need no W&B server."""

from __future__ import annotations

import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from wandb_artifacts import InvalidValueError
from wandb_artifacts.client import Connection

from wandb_runtime.cli.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb_runtime.cli.flyte_api import FlyteCli

_DISTRIBUTION = "wandb-runtime"
_SUPPORTED = ("wandb", "flyte")
_OWN = ("flyteplugins-wandb", "wandb-sweeps", _DISTRIBUTION, "wandb-artifacts")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


def check_versions() -> Iterator[Finding]:
    """Compare the SDKs' versions with those that this package requires."""
    installed = {name: version for name in _OWN if (version := _version(name))}
    yield Finding.ok("python", platform.python_version())
    yield Finding.ok("packages", ", ".join(f"{name} {version}" for name, version in installed.items()))
    required = map(Requirement, metadata.requires(_DISTRIBUTION) or ())
    for requirement in (each for each in required if each.name in _SUPPORTED and not each.extras):
        version = _version(requirement.name)
        what = f"version {version}" if version else "not installed"
        if version and requirement.specifier.contains(version, prereleases=True):
            yield Finding.ok(requirement.name, f"{what}, supported ({requirement.specifier})")
        else:
            text = f"{what}, not supported ({requirement.specifier})"
            yield Finding.failed(requirement.name, text, f"Install it: pip install '{requirement}'.")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_flyte(cli: FlyteCli | None) -> Finding:
    """Describe where Flyte runs tasks."""
    import flyte.config

    config = cli.config if cli else flyte.config.auto()
    source = f" from {config.source}" if config.source else ""
    endpoint = (cli.endpoint if cli else None) or config.platform.endpoint
    if not endpoint:
        return Finding.ok("flyte configuration", f"no endpoint{source}: tasks run in local mode only")
    named = {"project": config.task.project, "domain": config.task.domain, "org": config.task.org}
    parts = "".join(f", {name} {value}" for name, value in named.items() if value)
    return Finding.ok("flyte configuration", f"endpoint {endpoint}{parts}{source}")


def check_directories() -> Iterator[Finding]:
    """Check that the directories of the SDK and of downloads are writable."""
    # Imported late: it takes long.
    from wandb import env

    folders = {
        "run directory": (env.get_dir(".") or ".", "WANDB_DIR"),
        "artifact staging": (env.get_data_dir(), "WANDB_DATA_DIR"),
        "artifact cache": (str(env.get_cache_dir()), "WANDB_CACHE_DIR"),
        "temporary files": (tempfile.gettempdir(), "TMPDIR"),
    }
    for check, (folder, variable) in folders.items():
        path = Path(folder).expanduser().absolute()
        if problem := _write_problem(path):
            advice = f"Make it writable, or set {variable} to a directory that is."
            yield Finding.failed(check, f"{path} is not writable ({problem})", advice)
        else:
            yield Finding.ok(check, f"{path} is writable")


def _write_problem(folder: Path) -> str | None:
    """Return why a file cannot be created in a directory, or in the nearest one that exists."""
    while not os.path.lexists(folder) and folder.parent != folder:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__


def check_certificates() -> Finding:
    """Check the certificates that the environment names."""
    check = "certificates"
    for name in _CERTIFICATES:
        path = os.environ.get(name)
        if path and not os.access(path, os.R_OK):
            advice = f"Correct {name}, or unset it."
            return Finding.failed(check, f"{name} names {path}, which does not exist or is not readable", advice)
    try:
        is_unverified = Connection().resolved().insecure_disable_ssl
    except InvalidValueError:
        is_unverified = False  # The check of the connection reports it.
    if is_unverified:
        return Finding.ok(check, "not verified, because insecure_disable_ssl is set")
    given = ", ".join(f"{name}={os.environ[name]}" for name in _CERTIFICATES if os.environ.get(name))
    return Finding.ok(check, given or "those of this machine")
