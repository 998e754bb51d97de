"""A project opts in to the pytest plugin, once; to any other nothing is to be seen of it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.project import PYPROJECT, ROOT
from tests.testing.projects import ENTRY, HELLO, PLUGIN, Project, put

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.not_quick


_PLAIN = """
import pytest

def test_sees_nothing(request, pytestconfig):
    assert not pytestconfig.pluginmanager.has_plugin("tokenstream.testing.plugin")
    assert pytestconfig.getoption("--record-streams") is False
    assert "recording" not in [line.partition("(")[0] for line in pytestconfig.getini("markers")]
    with pytest.raises(pytest.FixtureLookupError):
        request.getfixturevalue("token_stream")
"""
_OPTED_IN = """
import pytest

@pytest.mark.recording("hello.sse", format="text")
def test_it(token_stream, pytestconfig):
    assert token_stream.final().text == "Hello"
    named = [line for line in pytestconfig.getini("markers") if line.startswith("recording(")]
    assert len(named) == 1
"""


def test_a_project_that_does_not_opt_in_sees_nothing(project: Project) -> None:
    """No fixture, no marker, no comparison: the options are all there is."""
    project.write(test_it=_PLAIN)

    assert {"test_sees_nothing": "passed"} == project.run(plugins=(ENTRY,)).outcomes


@pytest.mark.few_rows(3)
@pytest.mark.parametrize(
    "plugins, ini, conftest",
    [
        ((ENTRY,), "tokenstream = true", ""),
        ((ENTRY, PLUGIN), "", ""),
        ((PLUGIN, ENTRY), "tokenstream = true", ""),
        ((ENTRY, PLUGIN), "tokenstream = true", "pytest_plugins = ['tokenstream.testing.plugin']"),
        ((ENTRY,), "", "pytest_plugins = ['tokenstream.testing.plugin']"),
        ((PLUGIN,), "", ""),
    ],
)
def test_a_project_opts_in_once(project: Project, plugins: tuple[str, ...], ini: str, conftest: str) -> None:
    put(project.folder / "hello.sse")
    project.configure("addopts = --strict-markers", ini)
    project.write(test_it=_OPTED_IN, conftest=conftest)

    assert {"test_it": "passed"} == project.run(plugins=plugins).outcomes


def test_asking_for_new_recordings_opts_in(project: Project) -> None:
    project.configure("addopts = --strict-markers")
    project.write(test_it=_OPTED_IN.replace('format="text"', 'format="text", source=lambda: [BODY]'))
    (project.folder / "test_it.py").write_text(
        f"BODY = {HELLO.body!r}\n" + (project.folder / "test_it.py").read_text()
    )

    assert {"test_it": "passed"} == project.run("--record-streams", plugins=(ENTRY,)).outcomes


def test_the_entry_point_is_the_small_module() -> None:
    """Pytest loads only the module with the options everywhere."""
    assert {"tokenstream": ENTRY} == PYPROJECT["project"]["entry-points"]["pytest11"]


def test_importing_the_entry_point_imports_nothing_else() -> None:
    """Each run of pytest on the machine pays for it, also in projects that never heard of this library."""
    code = f"import sys; before = {{*sys.modules}}; import {ENTRY}; print(*({{*sys.modules}} - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    parents = {ENTRY.rsplit(".", count)[0] for count in range(ENTRY.count(".") + 1)}

    assert parents | {"tokenstream._basics", "tokenstream._basics.lazy"} == loaded


def _run_installed(folder: Path, *arguments: str) -> str:
    """Run pytest in a process of its own, in which a distribution has the entry point."""
    info = folder / "site" / "kit-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kit\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pytest11]\ntokenstream = {ENTRY}\n")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(info.parent)])}
    del env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, str(folder)],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_an_installed_distribution_changes_nothing_until_it_is_asked_to(project: Project) -> None:
    project.write(
        test_it=_PLAIN
        + """
    import sys
    assert not {"tokenstream.stream", "tokenstream.message", "tokenstream.testing.faults"} & {*sys.modules}
"""
    )

    assert "1 passed" in _run_installed(project.folder)


@pytest.mark.slow
def test_an_installed_distribution_is_asked_twice(project: Project) -> None:
    """The entry point and `-p` together load the plugin once."""
    put(project.folder / "hello.sse")
    project.configure("tokenstream = true")
    project.write(test_it=_OPTED_IN)

    assert "1 passed" in _run_installed(project.folder, "-p", PLUGIN)
