"""The house holds: imports point one way, files stay small, importing stays light."""

from __future__ import annotations

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import grimp
import pytest

from tests.house.rooms import settled
from tests.project import PACKAGE, PYPROJECT, ROOT, parsed, parsed_with, source_of
from tests.support import registry
from tests.support.tables import in_one_test
from tokenstream.message import _TURNS, Message

pytestmark = pytest.mark.not_quick

_CONTRACTS = {contract["id"]: contract for contract in PYPROJECT["tool"]["importlinter"]["contracts"]}
_LAYERS = [[name.strip("( )") for name in layer.split(":")] for layer in _CONTRACTS["layers"]["layers"]]
_MODULES = sorted(PACKAGE.rglob("*.py"))
_MOST_LINES = 500
_FEWEST_WORDS = 4
_LONGER = {
    "tokenstream/_connection/connection.py": "the ways in which the input of a connection ends",
    "tokenstream/_values/parts.py": "all values that a message is made of, as one list",
    "tokenstream/_pipeline/intake.py": "what has arrived and how it ends, which each chunk changes together",
    "tokenstream/_answer/accumulator.py": "one taker for each event, and the table of them",
    "tokenstream/errors.py": "all error classes that users catch, as one tree",
    "tokenstream/events.py": "all events that users match, as one list",
    "tokenstream/formats/_kit/answer.py": "one class, which has all that a format says of an answer",
    "tokenstream/formats/_kit/parts.py": "one class, which has what a format calls for parts and calls",
    "tokenstream/steps/_agents/claude_code.py": "one program's lines, and the turns that they make",
    "tokenstream/steps/_step.py": "what runs and steps have in common, and all that a step can do",
    "tokenstream/stream/_async_driver.py": "the waits for one event: plain, until a time, or beside others",
    "tokenstream/stream/_driver.py": "the phases of one stream, from its source to its verdict",
    "tokenstream/stream/_reading/reader.py": "one task that reads ahead, and the waits for what it has read",
}
"""Files of more than `_MOST_LINES` lines, each with the reason why it is one thing."""
_LATE = {
    "anthropic",
    "anyio",
    "httpx",
    "httpx2",
    "httpx_sse",
    "openai",
    "partial_json_parser",
    "rich",
    "trio",
}


def _rooms(folder: Path) -> set[str]:
    return {
        path.stem
        for path in folder.iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }


@pytest.mark.slow
def test_imports_point_one_way() -> None:
    """The contracts of pyproject.toml hold: layers, and no I/O below the drivers."""
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert linter, "import-linter is part of the extra `test`"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_has_its_layer() -> None:
    """A new room is put in its place in the order of imports before it can be used."""
    placed = {name.removeprefix("tokenstream.") for layer in _LAYERS for name in layer}
    split = ("_basics", "_values")
    single = {f"{room}.{name}" for room in split for name in _rooms(PACKAGE / room)}

    assert set() == (_rooms(PACKAGE) - {*split} | single) - placed


@pytest.mark.slow
def test_what_runs_imports_nothing_from_above() -> None:
    """Annotations may name a type from above, and a route gets the request for its API when it is used."""
    graph = grimp.build_graph("tokenstream", cache_dir=None, exclude_type_checking_imports=True)
    layers = [grimp.Layer(*layer, independent=False) for layer in _LAYERS]
    upward = graph.find_illegal_dependencies_for_layers(layers)

    assert {("tokenstream.recovery", "tokenstream._request")} == {(up.importer, up.imported) for up in upward}


def test_the_contracts_have_each_room_in_one_ring() -> None:
    """A room that no contract knows might be imported by all, and would count as a guest."""
    outside = sorted(_CONTRACTS["relay"]["forbidden_modules"])
    for ring in ("relay", "recovery", "answer"):
        assert outside == sorted(_CONTRACTS[ring]["forbidden_modules"])
        outside = sorted([*outside, *_CONTRACTS[ring]["source_modules"]])

    assert outside == sorted(f"tokenstream.{room}" for room in _rooms(PACKAGE))


def test_architecture_has_the_sums_of_the_rings() -> None:
    """Somebody who must judge the library sees how much of it an answer needs."""
    page = (ROOT / ".github" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*\*(\w+)\*\* \|.*\| (\d+),000 \|$", page, re.MULTILINE)

    rings = {ring: has["lines"] for ring, has in settled("rings").items() if has["lines"]}
    assert dict(rows) == {ring: f"{lines / 1000:.0f}" for ring, lines in rings.items()}


def test_below_the_formats_only_a_message_imports_by_name() -> None:
    """A message asks `turns` for the turns that its methods return; an error gets an empty message."""
    formats = next(index for index, layer in enumerate(_LAYERS) if "tokenstream.formats" in layer)
    rooms = {name.split(".")[1] for layer in _LAYERS[formats + 1 :] for name in layer}
    below = [path for path in _MODULES if path.relative_to(PACKAGE).with_suffix("").parts[0] in rooms]
    code = [(path.stem, path.read_text(encoding="utf-8")) for path in below]
    by_name = {name for name, text in code if re.search(r"""import_module\(f?"(?:\.|tokenstream)""", text)}
    passed_in = {name: found for name, text in code if (found := re.findall(r'load_public\("(\w+)', text))}

    assert {"lazy", "message"} == by_name
    assert {"errors": ["Message", "Checkpoint"]} == passed_in
    assert {"ToolResults", "put_calls_in_text"} == {name for name in _TURNS if not hasattr(Message, name)}


def test_all_that_is_below_the_drivers_does_no_io() -> None:
    """The contract against waiting and clocks names every module below `tokenstream.stream`."""
    position = next(index for index, layer in enumerate(_LAYERS) if "tokenstream.stream" in layer)
    below = {".".join(name.split(".")[:2]) for layer in _LAYERS[position + 1 :] for name in layer}
    present = {name for name in below if name.removeprefix("tokenstream.") in _rooms(PACKAGE)}
    # The encoders stand above, where only the relay and the testing kit need them, and are stages as well.
    present.add("tokenstream.relay._encoders")

    assert present == set(_CONTRACTS["no-io"]["source_modules"])


@pytest.mark.slow
def test_formats_do_not_know_each_other() -> None:
    """No format imports another, by whatever way round: common ground stands beside their folder."""
    formats = [f"tokenstream.formats._wire.{name}" for name in sorted(_rooms(PACKAGE / "formats" / "_wire"))]
    graph = grimp.build_graph("tokenstream", cache_dir=None)
    known = [
        (one, other)
        for one, other in permutations(formats, 2)
        if graph.chain_exists(importer=one, imported=other, as_packages=True)
    ]

    assert len(formats) > len(registry.names()) - 1
    assert [] == known


@pytest.mark.slow
def test_no_import_circle_goes_through_the_drivers_or_the_accumulator() -> None:
    """Each can be read from what it imports up, also where only types are imported.

    The protocols name the drivers that they describe, and only type checkers import them.
    """
    graph = grimp.build_graph("tokenstream", cache_dir=None)
    graph.remove_module("tokenstream.stream._protocols")
    plain = {
        "tokenstream._answer.accumulator",
        "tokenstream._connection.connection",
        "tokenstream._pipeline.decoder",
        "tokenstream._pipeline.machine",
    }
    plain |= graph.find_descendants("tokenstream.stream")

    assert {} == {
        name: sorted(circle)
        for name in plain
        if (circle := graph.find_upstream_modules(name) & graph.find_downstream_modules(name))
    }


@pytest.mark.slow
def test_the_picture_of_the_house_is_the_one_that_its_imports_make() -> None:
    """`python docs/_programs/architecture_picture.py` draws it anew."""
    script = runpy.run_path(str(ROOT / "docs" / "_programs" / "architecture_picture.py"))
    drawn: str = script["picture"]()

    assert drawn == (ROOT / "docs" / "pictures" / "architecture.svg").read_text(encoding="utf-8")
    assert drawn.count("<rect") == len(script["rooms"]())


def _writes(tree: ast.AST, name: str) -> set[str]:
    """Return the attributes that code writes of an object of a name."""
    nodes = [
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    ]
    return {node.attr for node in nodes if re.search(rf"\b_?{name}$", ast.unparse(node.value))}


@pytest.mark.parametrize("part", ["Intake", "Way", "Link"])
def test_each_attribute_of_a_machine_has_its_writer_in_the_table(part: str) -> None:
    """Architecture names each attribute with the methods by which others ask to change it."""
    page, name = (ROOT / ".github" / "architecture.md").read_text(encoding="utf-8"), part.lower()
    rows = re.findall(r"\| `(\w+)` \| (.*) \|", page.split(f"| of `{part}` |")[1].split("\n\n")[0])
    home = PACKAGE / "_pipeline" / f"{name}.py"
    methods = {each.name: each for each in ast.walk(parsed(home)) if isinstance(each, ast.FunctionDef)}
    written = {each: _writes(method, "self") for each, method in methods.items()}
    for each, method in [*methods.items()] * 2:  # with what the methods write that a method calls
        called = {*methods} & {*re.findall(r"self\.(\w+)", ast.unparse(method))}
        written[each] |= {attribute for other in called for attribute in written[other]}
    changed = set().union(*(written[each] for each in methods if each not in ("__init__", "dispose")))

    assert {each for each in changed if not each.startswith("_")} - {"accumulator", "intake"} == {*dict(rows)}
    pairs = [(attribute, each) for attribute, asked in rows for each in re.findall(r"`(\w+)`", asked)]
    assert [] == [(attribute, each) for attribute, each in pairs if attribute not in written[each]]
    assert {"now"} >= set().union(*(_writes(parsed(path), name) for path in _MODULES if path != home))


def test_few_reach_into_the_private_parts_of_others() -> None:
    """Each such place says why; a new one asks for a name without an underscore."""
    places = [
        (path.relative_to(PACKAGE).as_posix(), reason.strip())
        for path in _MODULES
        for reason in re.findall(r"# noqa: [A-Z0-9, ]*SLF001(.*)", path.read_text(encoding="utf-8"))
    ]
    whole = [path.name for path in _MODULES if "ruff: noqa: SLF001" in path.read_text(encoding="utf-8")]

    assert [] == [place for place, reason in places if not reason.startswith("- ")]
    assert ([], True) == (whole, len(places) <= 10), places


@in_one_test("module", _MODULES, ids=lambda path: path.relative_to(PACKAGE.parent).as_posix())
def test_a_long_file_says_why_it_is_one_thing(module: Path) -> None:
    """Beyond 500 lines, most files hold a second thing; those that do not are argued in `_LONGER`."""
    is_long = len(module.read_text(encoding="utf-8").splitlines()) > _MOST_LINES

    assert is_long == (module.relative_to(PACKAGE.parent).as_posix() in _LONGER)


def _printed_by(program: str) -> str:
    # Compiling our own modules at every import is no cost of theirs.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    ).stdout


def _loaded_by(statement: str) -> set[str]:
    return set(_printed_by(f"{statement}\nimport sys\nprint(*sys.modules)").split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "import tokenstream",
        "from tokenstream import Decoder, Deadlines, Limits, Message, ToolCall, Usage",
        "from tokenstream import AsyncStream, Stream",
        "import tokenstream.errors, tokenstream.events, tokenstream.framing",
    ],
)
def test_importing_loads_nothing_that_is_not_needed_yet(statement: str) -> None:
    """A transport, a second event loop, an SDK or a drawing library comes in when first used."""
    assert set() == _LATE & _loaded_by(statement)


@pytest.mark.slow
def test_importing_connect_loads_what_tells_its_mistakes_and_no_more() -> None:
    """A program that may never ask a model starts as fast as without the library."""
    loaded = _loaded_by("from tokenstream import connect") - _loaded_by("")

    assert len(loaded) <= 45
    assert set() == loaded & {"httpx", "inspect", "pydantic", "ssl", "typing_extensions"}


@pytest.mark.slow
def test_importing_everything_needs_no_extra() -> None:
    """A user who has installed only the package itself can import each module that has a public name."""
    # Where click is installed, httpx loads its own command line, and rich with it.
    statement = """
import importlib, pkgutil, sys, tokenstream
sys.modules["click"] = None
for module in pkgutil.walk_packages(tokenstream.__path__, "tokenstream."):
    if "._" not in module.name and module.name != "tokenstream.testing.plugin":
        importlib.import_module(module.name)
"""
    extras = {
        "aiohttp",
        "genai_prices",
        "griffe",
        "opentelemetry",
        "pytest",
        "redis",
        "regex",
        "rich",
        "uvloop",
        "yaml",
    }

    assert set() == extras & _loaded_by(statement)


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement", ["import tokenstream", "from tokenstream import Decoder, Limits, Message"]
)
def test_the_core_starts_no_asyncio(statement: str) -> None:
    """Who decodes bytes without a driver does not pay for an event loop."""
    assert "asyncio" not in _loaded_by(statement)


@pytest.mark.slow
def test_a_stream_loads_no_logging_that_nobody_else_has_loaded() -> None:
    """Who wants to read the log has loaded it; to all others it would cost a tenth of the first text."""
    read = "from tokenstream import Stream\nStream(['Hello'], format='pieces').final()"

    assert "logging" not in _loaded_by(read)


@pytest.mark.slow
def test_an_error_that_is_alone_has_an_empty_answer() -> None:
    """Nothing else of the package needs to be loaded before `partial` and `checkpoint` are read."""
    alone = "from tokenstream.errors import ProtocolError\nerror = ProtocolError('')"
    read = "print(error.checkpoint.messages == (error.partial,), error.partial.parts)"

    assert "True ()" == _printed_by(f"{alone}\n{read}").strip()


@pytest.mark.slow
def test_importing_builds_no_model() -> None:
    """Pydantic builds a model when it is first used: all of them would double the time of the import."""
    built = _printed_by(
        "import gc, tokenstream\n"
        "from tokenstream import AsyncStream, Checkpoint, Message, Stream\n"
        "from pydantic import BaseModel\n"
        "models = [m for m in gc.get_objects() if isinstance(m, type) and issubclass(m, BaseModel)]\n"
        "ours = [m for m in models if m.__module__.startswith('tokenstream') and m.model_fields]\n"
        "assert len(ours) > 3, ours\n"
        "print(*(m.__name__ for m in ours if m.__pydantic_complete__))"
    )

    assert "" == built.strip()


def _defined(module: ast.Module) -> Iterator[ast.stmt]:
    for node in module.body:
        yield from node.body if isinstance(node, ast.ClassDef) else (node,)


_LEADS_BACK = re.compile(
    r'def test_[^"\n]*:\n\s+r?"""(?:Also|And|But|Its?|Nor|Or|So|Their|Then|They|As (?:above|after|before))\b'
)
_FEW_WORDS = rf'def test_[^"]*?:\n\s+r?"""\s*\S+(?:\s+\S+){{0,{_FEWEST_WORDS - 1}}}\s*"""'


def test_a_docstring_of_a_test_can_be_read_alone() -> None:
    """A test's name is a sentence; a docstring adds a whole one to it, or is left out."""
    short = [
        f"{path.relative_to(ROOT).as_posix()}::{node.name}"
        for path, module in parsed_with(_FEW_WORDS, sorted((ROOT / "tests").rglob("*.py")))
        for node in _defined(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and 0 < len((ast.get_docstring(node) or "").split()) <= _FEWEST_WORDS
    ]
    # With a name, such a word would lead back to it.
    leading = [path for path in (ROOT / "tests").rglob("*.py") if _LEADS_BACK.search(source_of(path))]

    assert [] == short
    assert [] == leading


_BY_HAND = re.compile(r"(?:(?:event:[^\n]*\n)?data:[^\n]*\n\n)+")
_EVENT_AND_ITS_END = r"""(?:["'}]|\\\n)(?:event|data):.*(?:\\n.*\\n|\n.*\\n.*\\n|\n\n)"""
_BROKEN = re.compile("[\udc80-\udcff]")
_ABOUT_BYTES = (
    "_connection/",
    "_pipeline/test_decoder.py",
    "compare/benchmarks/imports.py",
    "compare/conformance/test_conformance.py",
    "compare/sdks/",
    "docs/test_protocol_page.py",
    "cli/test_serve.py",
    "formats/",
    "framing/",
    "faults/events/",
    "relay/",
    "testing/",
    "typing/",
)
"""Tests of framing, of formats, of what writes events, and of files that hold them."""


def _events_by_hand(module: ast.Module) -> list[int]:
    """Return the lines of the literals that are whole events of SSE."""
    found: list[int] = []
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            value = node.value
            text = value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
            # Bytes that are no text, ids and comments have no place in a script.
            if _BY_HAND.fullmatch(text) and not _BROKEN.search(text):
                found.append(node.lineno)
    return found


def test_events_are_written_by_scripts_and_not_by_hand() -> None:
    """Outside the tests of framing and formats, what a provider sends comes from `tokenstream.testing`."""
    folder = ROOT / "tests"
    modules = {path: path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}
    others = [path for path, name in modules.items() if not name.startswith(_ABOUT_BYTES)]
    by_hand = {
        modules[path]: lines
        for path, module in parsed_with(_EVENT_AND_ITS_END, others)
        if (lines := _events_by_hand(module))
    }

    assert {} == by_hand
