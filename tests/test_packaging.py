"""What is installed is whole: metadata, type information, and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

import pytest

from tests.project import PACKAGE, PYPROJECT, ROOT
from tests.support.node import node_with, npm_with
from tokenstream.cli import main

PROJECT = PYPROJECT["project"]
_MODULES = (
    *("ag-ui", "answer", "connection", "message", "patch", "sse"),
    *("store", "stream", "tokenstream", "use-chat", "websocket"),
)
_READER = sorted(["package.json", *(f"{name}{suffix}" for name in _MODULES for suffix in (".js", ".d.ts"))])
"""The files of the browser's reader."""


def test_the_distribution_is_named_llm_tokenstream() -> None:
    """`tokenstream` on the package index is another library; ours has this name, and imports as that."""
    assert metadata.version("llm-tokenstream") == PROJECT["version"]


def test_installing_brings_four_packages_and_no_sdk() -> None:
    """The runtime dependencies are these four; a provider's SDK is never one."""
    required = {
        re.split(r"[>=<!~;\[ ]", requirement, maxsplit=1)[0] for requirement in PROJECT["dependencies"]
    }

    assert {"httpx", "httpx-sse", "partial-json-parser", "pydantic"} == required


def test_the_package_for_javascript_is_private_and_needs_nothing() -> None:
    package = json.loads((PACKAGE / "relay" / "browser" / "package.json").read_text("utf-8"))
    modules = {target.removeprefix("./") for target in package["exports"].values()}

    assert (package["version"], package["private"], package["type"]) == (PROJECT["version"], True, "module")
    assert not {"dependencies", "peerDependencies", "scripts", "optionalDependencies"} & set(package)
    assert modules <= set(_READER)


def test_no_dependency_has_an_upper_bound() -> None:
    """A newer release of a dependency is never refused, so that we hold nobody's upgrade back."""
    extras = [requirement for extra in PROJECT["optional-dependencies"].values() for requirement in extra]
    capped = [
        requirement
        for requirement in [*PROJECT["dependencies"], *extras]
        if re.search(r"<|==|~=", requirement.partition(";")[0])
    ]

    assert [] == capped


def test_type_checkers_find_our_annotations() -> None:
    """PEP 561: the marker `py.typed` lies in the package that is installed."""
    assert (PACKAGE / "py.typed").is_file()


def test_the_commands_have_a_name_of_their_own() -> None:
    """`tokenstream …` is `python -m tokenstream …`."""
    (script,) = metadata.entry_points(group="console_scripts", name="tokenstream")

    assert script.load() is main


def test_every_address_of_the_project_lies_in_one_repository() -> None:
    """The page on the package index leads to the sources, the documentation, the changelog and the issues."""
    urls = PROJECT["urls"]

    assert {"Homepage", "Documentation", "Changelog", "Issues", "Source"} == set(urls)
    assert all(url.startswith(urls["Source"]) for url in urls.values())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / "tokenstream").is_dir():
        pytest.skip("needs the package's sources, which are out of the way while a wheel is tested")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: Path) -> None:
    """Every module, `py.typed` and the licence are in the wheel; tests and documents are not."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    dist_info = f"llm_tokenstream-{PROJECT['version']}.dist-info"
    packaged = {name for name in names if not name.startswith(f"{dist_info}/")}

    assert modules == packaged
    assert f"{dist_info}/licenses/LICENSE" in names


@pytest.mark.slow
def test_the_wheel_and_the_package_for_javascript_hold_the_same_reader(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if name.startswith("tokenstream/relay/browser/")]
    _, node = node_with()
    packed = subprocess.run(
        [*npm_with(node), "pack", "--dry-run", "--json", str(PACKAGE / "relay" / "browser")],
        cwd=tmp_path,
        env={**os.environ, "npm_config_cache": str(tmp_path), "npm_config_update_notifier": "false"},
        capture_output=True,
        check=True,
    )
    (package,) = json.loads(packed.stdout)

    assert sorted(name.rpartition("/")[2] for name in inside) == _READER
    assert sorted(file["path"] for file in package["files"]) == _READER
    assert package["version"] == PROJECT["version"]


@pytest.mark.slow
def test_the_wheel_has_the_readme_with_links_that_work_anywhere(wheel: Path) -> None:
    """The package index shows it; it says how large the wheel is."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        told = archive.read(name).decode()

    assert f"]({PROJECT['urls']['Source']}/blob/main/docs/index.md)" in told
    assert "](docs/" not in told
    size = re.search(r"a wheel of ([\d.]+) MB", told)
    assert size is not None
    assert abs(float(size[1]) - wheel.stat().st_size / 1e6) < 0.1


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Name, licence and supported Pythons reach who looks the distribution up."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        head = HeaderParser().parsestr(archive.read(name).decode())

    assert ("llm-tokenstream", "MIT", ">=3.11") == (
        head["Name"],
        head["License-Expression"],
        head["Requires-Python"],
    )


@pytest.mark.slow
def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """What is installed from the wheel imports, and takes nothing from the source folder."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    program = "import tokenstream; from tokenstream import Message, Stream; print(tokenstream.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert str(site / "tokenstream" / "__init__.py") == done.stdout.strip()


def test_a_test_has_five_minutes() -> None:
    """Only what hangs fails by the clock: a machine that does other things, too, is slow."""
    assert 300 == PYPROJECT["tool"]["pytest"]["ini_options"]["timeout"]


def test_who_gets_the_sources_is_told_where_to_report_a_fault() -> None:
    """A distribution's security team reads the source archive, and wants to know how long an answer takes."""
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]

    assert ".github/SECURITY.md" in included
    assert re.search(r"an answer within \w+ working days", (ROOT / ".github" / "SECURITY.md").read_text())
