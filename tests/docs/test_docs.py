"""What the documents show is true: code runs, links resolve, commands exist.

The blocks of Python of one page run in their order and share their names; a
block may `await`. Names that a page uses without defining them (`url`,
`payload`, `headers`, …) come from the fixture `docs_namespace`. A page whose code
needs an SDK or an optional library is listed in `NEEDS`, and its code is left out
where that is not installed. An example is a script of its own. A block of
`output` is what the block before it has printed.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import gc
import importlib
import inspect
import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.docs.commands import commands, fault_of
from tests.docs.examples import printed_by
from tests.docs.pages import (
    ALWAYS_THERE,
    APART,
    BESIDE,
    EXAMPLES,
    NEEDS,
    PAGES,
    PROGRAMS,
    SLOW,
    WARNS,
    Block,
    Part,
    anchors,
    blocks,
    fenced,
    imports,
    local_links,
    name_of,
    parts_of,
    resolve,
    unnamed_extras,
)
from tests.docs.server import sdk_environment
from tests.project import MODULES, PACKAGE, ROOT
from tests.support import encoders
from tests.support.packages import needed
from tests.support.tables import in_one_test


def _run(block: Block, page: Path, namespace: dict[str, Any], runner: asyncio.Runner) -> None:
    # Blank lines before the code let a traceback name the page's own line.
    source = "\n" * (block.line - 1) + block.code
    code = compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    outcome = eval(code, namespace)
    if inspect.iscoroutine(outcome):
        runner.run(outcome)


def test_a_tool_loop_is_as_short_as_its_page_says() -> None:
    """The tools and the loop of each provider are 25 lines together, without what checks them."""
    page = (ROOT / "docs" / "guides" / "router.md").read_text(encoding="utf-8")
    shown = re.compile(r"^(router = Router\(\)|def ask_(openai|anthropic|gemini)\()", re.MULTILINE)
    parts = [block.code for block in blocks(page, "python") if shown.search(block.code)]
    tools, *loops = [re.split(r"\n(?:assert|print)\b", part)[0].split("\n") for part in parts]
    sizes = [sum(map(bool, [*tools, *loop])) for loop in loops]

    assert len(sizes) == 3
    assert max(sizes) <= 25


def _marks(page: str) -> list[pytest.MarkDecorator]:
    marks = [pytest.mark.filterwarnings(line) for line in WARNS.get(page, ())]
    return [*marks, pytest.mark.slow] if page in SLOW else marks


# google-genai makes a class of aiohttp's, where that is installed, of which aiohttp warns.
_CLIENTS = ("Anthropic", "OpenAI")
"""Names of the SDKs' clients that pages leave open."""


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
@pytest.mark.parametrize(
    ("page", "part"),
    [
        pytest.param(page, part, marks=_marks(part.name), id=part.name)
        for page in PAGES
        if name_of(page) not in PROGRAMS
        for part in parts_of(page)
    ],
)
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: Path, part: Part, docs_namespace: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who copies a page's blocks, one after the other, gets code that works: of the path, without extras."""
    # Without it, importing litellm asks a server for a list of prices.
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    for package in NEEDS.get(part.name, ()):
        needed(package)
    for module in unnamed_extras(page):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.chdir(tmp_path)
    for name, value in sdk_environment(docs_namespace).items():
        monkeypatch.setenv(name, value)
    namespace = {"__name__": "__main__", **docs_namespace}
    with asyncio.Runner() as runner:
        printed = ""
        for block in blocks(part.text, "python", "output"):
            if block.language == "output":
                assert block.code == printed
                continue
            with redirect_stdout(StringIO()) as output:
                _run(block, page, namespace, runner)
            printed = output.getvalue()
        # Their `__del__` closes them, but the collector may come to their sockets first.
        clients: list[Any] = [value for value in namespace.values() if type(value).__name__ in _CLIENTS]
        for client in clients:
            client.close()
        namespace.clear()
        # What a block left open warns here, in the test of its own page.
        gc.collect()


# The tests of the cookbook say themselves what they need.
@pytest.mark.slow
@in_one_test(
    "part",
    [
        pytest.param(part, id=part.name)
        for page in PAGES
        if page.parent.name != "cookbook"
        for part in parts_of(page)
    ],
)
def test_a_page_says_what_it_needs(part: Part) -> None:
    """A page is left out for want of a package only where its code imports that package."""
    imported = imports(part.text) - ALWAYS_THERE

    assert {module.partition(".")[0] for module in NEEDS.get(part.name, ())} == imported


def test_the_pages_with_needs_are_there() -> None:
    """A page that is renamed takes its needs along."""
    parts = {part.name for page in PAGES for part in parts_of(page)}

    assert set(NEEDS) | set(WARNS) <= parts
    assert PROGRAMS | APART <= {name_of(page) for page in PAGES}


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_runs_as_a_script(
    example: Path, docs_namespace: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of examples/ is a whole program that ends well and warns of nothing."""
    monkeypatch.chdir(tmp_path)

    printed_by(example.name, **sdk_environment(docs_namespace))


_LARGE = {"relay", "stream", "testing"}


def _room_of(module: str) -> str:
    """Return the package that a module is in, and of the larger ones the package within."""
    rooms = module.split(".")[1:-1]
    return ".".join(rooms[: 1 + (rooms[0] in _LARGE)]) if rooms else "tokenstream"


@pytest.mark.slow
@in_one_test(
    "module",
    [name for name in MODULES if not name.endswith("__main__")],
    by=_room_of,
    # Those examples go through all faults.
    slow=["testing._check"],
)
def test_the_examples_in_a_modules_docstrings_hold(module: str) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for case in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module)):
        # A run without an example looks at every file there is all the same.
        if case.examples:
            runner.run(case, out=report.append)

    assert "" == "".join(report)


@in_one_test("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    """A link to a file of the project names one that is there, and a heading that it has."""
    broken: list[str] = []
    for link in local_links(page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        path = resolve(page, target)
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            broken.append(link)

    assert [] == broken


@in_one_test("page", [page for page in PAGES if page not in BESIDE], ids=name_of)
def test_each_line_of_code_fits_a_window(page: Path) -> None:
    """The site, and a forge, hide what is longer than 88 characters until somebody scrolls."""
    lines = [line for code in fenced(page.read_text(encoding="utf-8")) for line in code.splitlines()]

    assert [] == [line for line in lines if len(line) > 88]


def test_each_picture_has_the_script_that_draws_it() -> None:
    """A picture without one cannot be drawn again when the library changes."""
    pictures = ROOT / "docs" / "pictures"
    texts = {
        node.value
        for path in (ROOT / "docs" / "_programs").glob("*_picture*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    }
    # The script of the folder ui/ has the names without their ending.
    drawn = [path.stem if path.parent.name == "ui" else path.name for path in pictures.rglob("*.*")]

    assert len(drawn) >= 20
    assert [] == [name for name in drawn if name not in texts]


_ELSEWHERE = {"_providers/apis.py", "events.py", "faults.py", "plugin.py", "framing/_content_coding.py"}


def test_a_page_names_each_module_within_the_larger_rooms() -> None:
    """Who changes the library finds each of them in a table, and none that is gone."""
    page = (ROOT / ".github" / "modules.md").read_text(encoding="utf-8")
    rooms = (
        "_basics",
        "_connection",
        "_pipeline",
        "partial_json",
        "relay/_encoders",
        "relay/journal",
        "relay",
        "formats",
        "recovery",
        "_sources",
        "stream",
        "testing",
        "cli/_html",
    )
    elsewhere = ("relay/_encoders/", "relay/journal/", "formats/_wire/")
    there: set[str] = set()
    for room in rooms:
        for path in (PACKAGE / room).rglob("*.py"):
            if path.name == "__init__.py" or (room in {"relay", "formats"} and _is_below(path, elsewhere)):
                continue
            there.add(path.relative_to(PACKAGE / room).as_posix())
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", page))
    # The table of formats names the encoders.
    of_protocols = {
        encoders.load(name).__module__.partition("._encoders.")[2].replace(".", "/") + ".py"
        for name in encoders.names()
    }

    assert there - of_protocols - _ELSEWHERE == named - _ELSEWHERE


def _is_below(path: Path, folders: tuple[str, ...]) -> bool:
    return path.relative_to(PACKAGE).as_posix().startswith(folders)


def test_the_architecture_shows_the_house_as_it_is() -> None:
    """Each room and each module of the ground floor, and no module that is not there."""
    page = (ROOT / ".github" / "architecture.md").read_text(encoding="utf-8")
    (house,) = [block.code for block in blocks(page, "text") if block.code.startswith("tokenstream/\n")]
    rooms = {path.parent.name + "/" for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__main__.py"}

    assert rooms | modules == set(re.findall(r"(?<![\w.])(\w+(?:\.py|/(?= )))", house))
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", page)
    assert [] == [each for each in named if not (PACKAGE / each).is_file()]


def test_the_guide_for_contributors_is_one_page() -> None:
    """A newcomer reads it to its end, and goes on to one of the lists."""
    page = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lists = {path.name for path in (ROOT / ".github").glob("adding-*.md")}

    assert len(page.split()) <= 400
    assert lists == set(re.findall(r"\]\((adding-[a-z-]+\.md)\)", page))


def test_the_guides_for_contributors_name_files_that_are_there() -> None:
    """Who adds a format, a stage or an API opens them; what is constant in one stands in it."""
    pages = [ROOT / ".github" / "checks.md", *(ROOT / ".github").glob("adding-*.md")]
    page = "\n".join(each.read_text(encoding="utf-8") for each in pages)
    folders = (ROOT, PACKAGE.parent, PACKAGE, PACKAGE / "stages", PACKAGE / "formats", ROOT / "tests")
    named = set(re.findall(r"`((?:\w+/)+[\w.]*)`", page))
    held = re.findall(r"`([A-Z_]+)` (?:in|of) `((?:\w+/)+\w+\.py)`", page)

    assert [] == [each for each in named if not any((folder / each).exists() for folder in folders)]
    assert held
    for name, module in held:
        path = next(folder / module for folder in folders if (folder / module).is_file())
        assert re.search(rf"^{name}\b", path.read_text(encoding="utf-8"), re.MULTILINE), (name, module)


def test_the_words_of_the_glossary_are_in_order() -> None:
    """Who looks a word up finds it where the alphabet has it."""
    page = (ROOT / ".github" / "glossary.md").read_text(encoding="utf-8")
    words = [word.lower() for word in re.findall(r"^\| \*\*(.+?)\*\*", page, re.MULTILINE)]

    assert sorted(set(words)) == words


@pytest.mark.slow
@in_one_test("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    """A command that a page shows names programs, modules, subcommands and extras that are there."""
    faults = [fault for command in commands(page.read_text(encoding="utf-8")) if (fault := fault_of(command))]

    assert [] == faults


@pytest.mark.slow
@in_one_test(
    "line",
    [
        "python -m nothere",
        "python -m tokenstream nothere",
        "python examples/nothere.py",
        "KEY=none python examples/nothere.py",
        "cd docs && nothere --version",
        'pip install ".[nothere]"',
        "pip install llm-tokenstream",
        "python -m pip install tokenstream",
    ],
)
def test_a_command_that_cannot_be_run_is_noticed(line: str) -> None:
    """The check of the pages' commands refuses what is misspelt, and the library of the same import name."""
    faults = [fault_of(command) for command in commands(f"```sh\n{line}\n```\n")]

    assert any(faults)
