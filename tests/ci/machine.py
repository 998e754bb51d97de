"""What the machine has: its Pythons, and programs of Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.ci.lanes import Shell

_PROGRAMS = {
    "chromium": ["chromium", "fonts-dejavu-core"],
    "cmark-gfm": ["cmark-gfm"],
    "curl": ["curl"],
    "java": ["default-jre-headless"],
    "nghttpx": ["nghttp2-proxy"],
    "nginx": ["nginx"],
    "redis-server": ["redis-server"],
}
"""What tests start: the browser, judges of Markdown and of HTML, proxies and a store, with their packages."""
AGENTS = {
    "claude": ("@anthropic-ai/claude-code", "2.1.330"),
    "codex": ("@openai/codex", "0.163.0"),
    "opencode": ("opencode-ai", "1.18.33"),
    "gemini": ("@google/gemini-cli", "0.61.0"),
    "pi": ("@earendil-works/pi-coding-agent", "1.6.0"),
    "qwen": ("@qwen-code/qwen-code", "0.24.4"),
    "copilot": ("@github/copilot", "1.0.102"),
    "kimi": ("@moonshot-ai/kimi-code", "2.1.0"),
}
"""The package of npm of each coding agent's program, with the version that its reader was written for."""
_ASK = """
import sys, sysconfig
major, minor, micro, level, _ = sys.version_info
if sys.implementation.name == "cpython" and (3, 11) <= (major, minor) <= (3, 14) and level == "final":
    threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    print(f"{major}.{minor}{threads} {micro} {sys._base_executable}")"""


def interpreters() -> dict[str, str]:
    """Return the newest release of each supported Python, the oldest first and free-threaded ones last.

    Of the oldest, it is the oldest release: a distribution may still have what later ones mended.
    """
    found = _found()
    pythons = {tag: path for _, tag, _, path in found}
    _, oldest, _, path = found[0]
    return {**pythons, oldest: path}


def all_interpreters() -> list[str]:
    """Return all releases of supported Pythons, the newest last, without the free-threaded ones."""
    return [path for is_free, _, _, path in _found() if not is_free]


def _found() -> list[tuple[bool, str, int, str]]:
    names = ["python3", *(f"python3.{minor}{threads}" for minor in range(11, 15) for threads in ("", "t"))]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = set[tuple[bool, str, int, str]]()
    for candidate in (
        *(Path(folder, name) for folder in os.environ["PATH"].split(os.pathsep) for name in names),
        *pyenv.glob("versions/*/bin/python3"),
    ):
        if os.access(candidate, os.X_OK):
            # The interpreter says itself where it lies: a candidate may be a shim.
            answer = subprocess.run(
                [candidate, "-I", "-c", _ASK], capture_output=True, text=True, check=False
            )
            if answer.returncode == 0 and answer.stdout:
                tag, micro, path = answer.stdout.strip().split(" ", 2)
                found.add((tag.endswith("t"), tag, int(micro), path))
    return sorted(found)


def install_debian(shell: Shell, python: str) -> None:
    """Install the programs that tests start, and what a Python of Debian's makes environments with."""
    packages = [
        package
        for program, packages in _PROGRAMS.items()
        if shutil.which(program) is None
        for package in packages
    ]
    if subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode:
        packages.append(f"{Path(python).name}-venv")
    if packages:
        shell.run("apt-get", "update", "-q")
        options = ("-q", "-y", "--no-install-recommends")
        shell.run("apt-get", "install", *options, *packages, variables={"DEBIAN_FRONTEND": "noninteractive"})
