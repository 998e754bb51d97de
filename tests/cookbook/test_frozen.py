"""A program frozen with PyInstaller, which finds the library's modules by its hook."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

from tests.project import PYPROJECT, ROOT
from tests.support.packages import needed
from tokenstream import _pyinstaller, testing

_NAME = re.compile(r"[\w.-]+")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _not_required() -> list[str]:
    """Return the modules on this machine that the library does not require: to analyse them takes minutes."""
    pending, required = list(PYPROJECT["project"]["dependencies"]), {"llm-tokenstream", "pyinstaller"}
    while pending:
        found = _NAME.match(pending.pop())
        assert found is not None
        name = _normal(found[0])
        if name not in required:
            required.add(name)
            with suppress(PackageNotFoundError):  # another platform's, or an older Python's
                pending += [each for each in requires(name) or () if "extra ==" not in each]
    return [
        module
        for module, distributions in packages_distributions().items()
        if not required & set(map(_normal, distributions)) and module.isidentifier()
    ]


def test_the_entry_point_names_the_hook() -> None:
    """PyInstaller looks for it in each distribution."""
    assert {"hook-dirs": "tokenstream._pyinstaller:get_hook_dirs"} == (
        PYPROJECT["project"]["entry-points"]["pyinstaller40"]
    )
    (folder,) = _pyinstaller.get_hook_dirs()
    hook = runpy.run_path(f"{folder}/hook-tokenstream.py")

    # Modules that only a string names: one of a lazy room, and a format.
    assert {"tokenstream.relay._encode", "tokenstream.formats._wire.anthropic"} <= {*hook["hiddenimports"]}
    assert any(name.endswith("tokenstream.js") for name, _ in hook["datas"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_frozen_program_reads_an_answer(tmp_path: Path) -> None:
    """Modules that are loaded when first used, by their names, are part of it."""
    needed("PyInstaller")
    (hooks,) = _pyinstaller.get_hook_dirs()
    command = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", "--additional-hooks-dir", hooks]
    excluded = [part for module in _not_required() for part in ("--exclude-module", module)]
    subprocess.run([*command, *excluded, str(ROOT / "examples" / "ask.py")], cwd=tmp_path, check=True)
    answer = testing.script().text("Because ", "of Rayleigh.").finish("stop")
    with testing.serve([answer]) as provider:
        env = {**os.environ, "OPENAI_BASE_URL": f"{provider.url}/v1", "OPENAI_API_KEY": "none"}
        done = subprocess.run(
            [tmp_path / "dist" / "ask" / "ask"], env=env, capture_output=True, text=True, check=False
        )

    assert ("Because of Rayleigh.", "") == (done.stdout, done.stderr)
