"""The parts of the evidence: what each of them runs, measured by coverage.py with all that it starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from coverage import Coverage

from tests.project import PACKAGE, ROOT

# From Python 3.12, a statement that was reached costs nothing more; a tracer doubles the time of the tests.
_SETTINGS = """
[run]
source = {package}
data_file = {folder}/data
parallel = True
concurrency = thread,multiprocessing
patch = subprocess,_exit
core = sysmon
sigterm = True
disable_warnings =
    couldnt-parse, ctracer, dynamic-conflict, include-ignored, module-not-imported, module-not-measured,
    no-data-collected, no-sysmon, trace-changed

[report]
exclude_also =
    @overload
    ^\\s*\\.\\.\\.$
"""
_NO_CACHE = ("-p", "no:cacheprovider")
_PAGES = (
    "tests/docs/test_docs.py::test_the_python_of_a_page_runs_from_top_to_bottom",
    "tests/docs/test_first_page.py",
    "tests/docs/test_quickstarts.py",
    "tests/docs/test_readme.py",
    "tests/relay/test_backends.py",
    "tests/relay/test_page_endpoints.py",
    "tests/money",
    "tests/cookbook",
)
"""Tests that run the code of pages."""
_EXAMPLES = (
    "tests/docs/test_docs.py::test_an_example_runs_as_a_script",
    "tests/docs/test_coding_agent.py",
    "tests/docs/test_examples.py",
    "tests/docs/test_markdown_page.py",
    "tests/docs/test_recipe_patches.py",
    "tests/docs/test_testing_examples.py::test_the_tests_that_the_page_shows_pass",
)
"""Tests that run the programs of examples/."""
_PICTURES = (
    "tests/cli/test_doctor_findings.py::test_the_picture_shows_what_the_command_prints",
    "tests/recovery/routes/test_reports.py::test_the_picture_of_routes_is_what_a_stream_gives",
    "tests/_pipeline/test_seam.py::test_the_picture_of_a_seam_is_what_a_stream_gives",
    "tests/docs/test_pictures.py",
)
"""Tests that run the programs of docs/_programs, which draw what the pages show."""


_NEED = re.compile(r"SKIPPED .*: needs (?:the package of )?([\w.-]+)")
"""A line of pytest about a test that was skipped for want of something."""
_SHOWN = 40
"""Lines that are shown of a run that was not to its end."""


@dataclass(frozen=True)
class Part:
    """Something that reaches statements.

    Attributes:
        name: What the table's column is called.
        module: What `python -m` runs.
        arguments: What the module is told.
        ends: Exit statuses of a run to its end: 1 is that of pytest if a test has failed.
    """

    name: str
    module: str
    arguments: Sequence[str] = ()
    ends: Collection[int] = (0, 1)


RECORDINGS = Part("recordings", "tests.evidence.readings", ends=(0,))
PROGRAMS = Part(
    "programs", "pytest", (*_NO_CACHE, "-m", "not browser and not agents", *_PAGES, *_EXAMPLES, *_PICTURES)
)
PARTS = (RECORDINGS, PROGRAMS)
"""In the order in which a statement is theirs: it is the first one's that reaches it."""


def settings(folder: Path) -> Path:
    """Write what coverage.py is told, for data in this folder, and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.ini"
    path.write_text(_SETTINGS.format(package=PACKAGE, folder=folder), encoding="utf-8")
    return path


def measure(part: Part, folder: Path) -> str:
    """Run a part, leave its data in a folder, and return what it says of itself: its end, and what it lacks.

    A test that fails reaches what it reaches: memory and calls cannot be counted beside what measures.

    Raises:
        RuntimeError: It was not run to its end.
    """
    file = settings(folder)
    command = [
        sys.executable,
        "-m",
        "coverage",
        "run",
        f"--rcfile={file}",
        "-m",
        part.module,
        *part.arguments,
    ]
    start = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONWARNINGS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    (folder / "said.txt").write_text(done.stdout, encoding="utf-8")
    *lines, last = done.stdout.rstrip().split("\n")
    if done.returncode not in part.ends:
        raise RuntimeError("\n".join([f"{part.name} ended with {done.returncode}:", *lines[-_SHOWN:], last]))
    coverage = Coverage(config_file=str(file))
    coverage.combine([str(folder)])
    coverage.save()
    lacking = dict.fromkeys(match[1] for match in map(_NEED.match, lines) if match)
    rows = [f"{part.name}: {last.strip('= ')} ({time.monotonic() - start:.0f} s)"]
    if part is PROGRAMS and lacking:
        rows.append(f"    left out for want of {', '.join(lacking)}")
    return "\n".join(rows)
