"""Projects with tests of their own, which are run within this process."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tokenstream import testing
from tokenstream.testing import Recording

HELLO = testing.script().text("Hello").finish().recording("text")
PLUGIN = "tokenstream.testing.plugin"
ENTRY = "tokenstream.testing._pytest.entry"


@dataclass
class Results:
    outcomes: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rpartition("::")[2]
        if report.when == "call" or report.failed:
            self.outcomes[name] = report.outcome
        if report.failed:
            self.told[name] = report.longreprtext


@dataclass
class Project:
    """A project with tests of its own, which are run within this process."""

    folder: Path

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(text, "utf-8")

    def write_marked(
        self,
        head: str = "",
        *,
        module: str = "test_it",
        uses: str = "token_stream",
        body: str = "pass",
        **markers: str,
    ) -> None:
        """Write a test for each marker `recording`, whose arguments are given by the name of the test."""
        tests = [
            f"@pytest.mark.recording({given})\ndef {name}({uses}):\n    {body}\n"
            for name, given in markers.items()
        ]
        self.write(**{module: "\n".join(["import pytest", head, *tests])})

    def configure(self, *lines: str) -> None:
        (self.folder / "pytest.ini").write_text("\n".join(["[pytest]", *lines]), "utf-8")

    def run(self, *arguments: str, plugins: tuple[str, ...] = (PLUGIN,)) -> Results:
        results = Results()
        # What watches the process as a whole is left to the run that this one is part of.
        left = ("cacheprovider", "faulthandler", "threadexception", "unraisableexception")
        loaded = [argument for name in plugins for argument in ("-p", name)]
        refused = [argument for name in left for argument in ("-p", f"no:{name}")]
        common = ["--rootdir", str(self.folder), "-c", str(self.folder / "pytest.ini"), "-W", "ignore"]
        pytest.main(
            [*loaded, *refused, *common, "--import-mode=importlib", *arguments, str(self.folder)],
            plugins=[results],
        )
        # The next project has modules of the same names.
        for name, module in [*sys.modules.items()]:
            if str(self.folder) in (getattr(module, "__file__", None) or ""):
                del sys.modules[name]
        return results


def project_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project that knows nothing of the plugins that are installed here."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    made = Project(folder)
    made.configure("addopts = --strict-markers")
    return made


def put(path: Path, recording: Recording = HELLO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    recording.save(path)
