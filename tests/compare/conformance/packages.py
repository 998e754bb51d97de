"""Packages that are compared: if they can run here, in which versions, and in which interpreter."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.node import node_in


class Packages(Protocol):
    """Packages that are used as their documents show it."""

    @property
    def name(self) -> str: ...

    @property
    def how(self) -> str:
        """The call that is made, for the page."""
        ...

    def installed(self) -> bool:
        """Return True if they can run here."""
        ...

    def versions(self) -> dict[str, str]:
        """Return their versions, that of the package which gives the name first."""
        ...

    def runtime(self) -> str: ...


def need_versions(packages: Packages, kept: Mapping[str, Any]) -> None:
    """Skip a test unless the packages are here at the versions that their page was written with."""
    # What comes with Python has its version.
    versions = packages.installed() and (packages.versions() or packages.runtime())
    if versions != (kept["versions"] or kept["runtime"]):
        pytest.skip(
            f"needs {packages.name} at the version that the page was written with, which is not installed"
        )


@dataclass(frozen=True)
class PythonPackages:
    name: str
    how: str
    packages: tuple[str, ...]
    """Distributions whose versions count, the one that gives the name first."""
    modules: tuple[str, ...] = ()
    """Modules that have to be there to import, where these have other names."""

    def installed(self) -> bool:
        modules = self.modules or [package.replace("-", "_") for package in self.packages]
        try:
            return all(importlib.util.find_spec(module) for module in modules)
        except ModuleNotFoundError:
            return False

    def versions(self) -> dict[str, str]:
        return {package: importlib.metadata.version(package) for package in self.packages}

    def runtime(self) -> str:
        return f"Python {platform.python_version()}"


@dataclass(frozen=True)
class NodePackages:
    """Packages of npm, run by Node in a folder where they are installed."""

    name: str
    how: str
    packages: tuple[str, ...]
    folder: Path | None
    """The folder whose node_modules has the packages; None where none was named."""

    def installed(self) -> bool:
        return (
            self.folder is not None
            and node_in(self.folder) is not None
            and all(self._manifest(package).exists() for package in self.packages)
        )

    def versions(self) -> dict[str, str]:
        return {
            package: json.loads(self._manifest(package).read_text("utf-8"))["version"]
            for package in self.packages
        }

    def runtime(self) -> str:
        return f"Node {self._run(['--version'], '').strip().removeprefix('v')}"

    def ask_script(self, script: Path, asked: dict[str, Any], *, timeout: float | None = None) -> Any:
        """Run a script with a question as its input, and return its answer; both are JSON.

        Args:
            timeout: The seconds after which it counts as hanging; None to wait for ever.
        """
        # A script given as text finds its packages from the folder that it runs in.
        arguments = ["--input-type=module", "--eval", script.read_text("utf-8")]
        return json.loads(self._run(arguments, json.dumps(asked), timeout))

    def _manifest(self, package: str) -> Path:
        assert self.folder is not None
        return self.folder / "node_modules" / package / "package.json"

    def _run(self, arguments: list[str], given: str, timeout: float | None = None) -> str:
        assert self.folder is not None
        node = node_in(self.folder)
        assert node is not None
        return subprocess.run(
            [node, *arguments],
            cwd=self.folder,
            input=given,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=timeout,
        ).stdout
