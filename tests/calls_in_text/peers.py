"""The parsers of vLLM and SGLang beside our dialects: `python -m tests.calls_in_text.peers`.

It downloads their wheels, the newest or as in `vllm==0.33.0 sglang`, unpacks them into a temporary folder,
installs nothing, and gives each registered parser a call in each dialect of ours, and of theirs as far as
peers.jsonl has them; parsers of reasoning get each markup of ours. The table that it writes says which
dialects and which parsers' reasoning we lack.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import logging
import re
import subprocess
import sys
from collections import defaultdict
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from tests.calls_in_text.support import WRITERS, Call, calls_of, read
from tests.made_tables.section import Section, table
from tests.project import CAPABILITIES
from tests.reasoning_tags.support import MARKUPS
from tokenstream.stages._calls.dialects import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    Parser = Callable[[str], list[Call]]

PEERS = ("vllm", "sglang")
_BESIDE = ("regex", "partial-json-parser", "ijson", "orjson", "msgspec", "openai")
"""Packages that parsers use in earnest."""
_VLLM = ("vllm.tool_parsers", "vllm.parser", "vllm.reasoning")
_REAL = (*_VLLM, "sglang.srt.function_call", "sglang.srt.parser")
"""Packages that are read from the wheels; the others of the peers would load a server."""
_CALL = Call("look", {"text": "Oslo", "n": 2})
_OTHERS = list(map(json.loads, Path(__file__).with_suffix(".jsonl").read_text("utf-8").splitlines()))
"""The call in dialects that a parser has and that may not be ours."""
LACKING, UNREAD, UNREAD_THOUGHTS = "*lacking*", "*none of these*", "*other reasoning*"


def download(folder: Path, *wanted: str) -> list[Path]:
    """Download wheels into a folder with pip; exit with what it says if the index has none."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(folder),
    ]
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"pip's index has no wheel of one of {', '.join(wanted)}:\n{done.stderr}")
    return sorted(folder.glob("*.whl"))


class _Named(type):
    """The class of classes that stand for others: a member of one has its own name as the value."""

    def __getattr__(cls, name: str) -> Any:
        return None if name.startswith("_") else cls(value=f"[{name.upper()}]")


class _Object(metaclass=_Named):
    """Stands for an object of a package that is not there: it has what it was given, and else None."""

    def __init__(self, *_: object, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

    def __class_getitem__(cls, _: object) -> Any:
        return cls

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> Any:
        return {"type": "any"}


class _Function(float):
    """Stands for a function that does nothing, for settings that are off, and for a time."""

    def __call__(self, *_: object, **__: object) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return _stand_in(name)


@cache
def _stand_in(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name[:1].isupper() and not name.isupper():
        return _Named(name, (_Object,), {})
    return logging.getLogger if name == "init_logger" else _Function(60.0 if "TIMEOUT" in name else 0.0)


class _Module(ModuleType):
    """Stands for a module that is not there."""

    def __getattr__(self, name: str) -> Any:
        return _stand_in(name)


class _Wheels(MetaPathFinder, Loader):
    """Finds the parsers in unpacked wheels, and stands in for what they import and nobody has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        place = self._folder.joinpath(*name.split("."))
        if name.startswith(_REAL) and (file := place / "__init__.py").exists():
            return importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(place)])
        if name.startswith(_REAL) and (file := place.with_suffix(".py")).exists():
            return importlib.util.spec_from_file_location(name, file)
        others = [] if name.startswith(PEERS) else [each for each in sys.meta_path if each is not self]
        for each in others:
            if (spec := each.find_spec(name, path, target)) is not None:
                return spec
        # A real package may do without what it lacks.
        outer = sys.modules.get(name.rpartition(".")[0])
        return ModuleSpec(name, self, is_package=True) if isinstance(outer, _Module | None) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None: ...


@contextmanager
def unpacked(wheels: Iterable[Path]) -> Generator[None]:
    """Let the parsers in wheels be imported; forget them, and what stood in for others, at the end."""
    inside = tuple([each.replace(".", "/") for each in _REAL])
    with TemporaryDirectory() as folder:
        for wheel in wheels:
            with ZipFile(wheel) as archive:
                names = archive.namelist()
                archive.extractall(
                    folder, [n for n in names if n.startswith(inside) or not n.startswith(PEERS)]
                )
        finder = _Wheels(Path(folder))
        sys.meta_path.insert(0, finder)
        sys.path.append(folder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            sys.path.remove(folder)
            for name, module in list(sys.modules.items()):
                if name.startswith(PEERS) or isinstance(module, _Module):
                    del sys.modules[name]


class _Vocabulary(dict[str, int]):
    """The numbers of all tokens: each text is one."""

    def __contains__(self, _: object) -> bool:
        return True

    def __missing__(self, token: str) -> int:
        return self.setdefault(token, sys.maxunicode + 1 + len(self))

    def get(self, token: str, _: Any = None) -> int:
        return self[token]


class _Tokenizer(_Object):
    """Stands for a tokenizer, of which each character is a token."""

    def __init__(self) -> None:
        tokens = _Vocabulary()
        super().__init__(vocab=tokens, get_vocab=lambda: tokens, convert_tokens_to_ids=tokens.__getitem__)
        super().__init__(tokenizer=self, model_tokenizer=self, all_special_tokens=(), all_special_ids=())

    def encode(self, text: str, **_: object) -> list[int]:
        return list(map(ord, text))

    def decode(self, numbers: list[int], **_: object) -> str:
        return "".join([chr(number) for number in numbers if number <= sys.maxunicode])


def _tools(of: str) -> list[Any]:
    properties = {"text": {"type": "string"}, "n": {"type": "integer"}}
    parameters = {"type": "object", "properties": properties}
    function = _stand_in("FunctionDefinition")(name=_CALL.name, parameters=parameters)
    return [_stand_in(of)(type="function", function=function)]


def _ask_vllm(module: str, name: str, text: str) -> list[Call]:
    tools = _tools("ChatCompletionToolsParam")
    request = _Object(tools=tools, tool_choice="auto", include_reasoning=True)
    parser = getattr(importlib.import_module(f"vllm.tool_parsers.{module}"), name)(_Tokenizer(), tools)
    calls = [each.function for each in parser.extract_tool_calls(text, request).tool_calls]
    return [Call(each.name, json.loads(each.arguments)) for each in calls]


def _ask_sglang(make: Any, text: str) -> list[Call]:
    calls = make().detect_and_parse(text, _tools("Tool")).calls
    return [Call(each.name, json.loads(each.parameters)) for each in calls]


def _ask_ours(name: str, text: str) -> list[Call]:
    return calls_of(read([text], name))


def registered() -> list[dict[str, Parser]]:
    """Return the parsers that vLLM and SGLang have registered, by name."""
    vllm: Any = importlib.import_module("vllm.tool_parsers")
    sglang: Any = importlib.import_module("sglang.srt.function_call.function_call_parser")
    made = sglang.FunctionCallParser.ToolCallParserEnum
    return [
        {name: partial(_ask_vllm, *place) for name, place in vllm._TOOL_PARSERS_TO_REGISTER.items()},  # noqa: SLF001 - theirs
        {name: partial(_ask_sglang, make) for name, make in made.items()},
    ]


def unread_thoughts() -> list[set[str]]:
    """Return the parsers of reasoning of vLLM and SGLang that read it in no markup of ours."""
    vllm: Any = importlib.import_module("vllm.reasoning")
    sglang: Any = importlib.import_module("sglang.srt.parser.reasoning_parser")

    def ask_vllm(module: str, name: str, text: str) -> tuple[Any, Any]:
        parser = getattr(importlib.import_module(f"vllm.reasoning.{module}"), name)(_Tokenizer())
        reasoning, rest = parser.extract_reasoning(text, _Object(tools=[], messages=[]))
        return reasoning, rest

    def ask_sglang(make: Any, text: str) -> tuple[Any, Any]:
        read = make().detect_and_parse(text)
        return read.reasoning_text, read.normal_text

    asked: list[dict[str, Callable[[str], tuple[Any, Any]]]] = [
        {name: partial(ask_vllm, *place) for name, place in vllm._REASONING_PARSERS_TO_REGISTER.items()},  # noqa: SLF001 - theirs
        {name: partial(ask_sglang, make) for name, make in sglang.ReasoningParser.DetectorMap.items()},
    ]
    return [{name for name, ask in peer.items() if not _reads_thoughts(ask)} for peer in asked]


def _reads_thoughts(ask: Callable[[str], tuple[Any, Any]]) -> bool:
    for opening, end, before, after in MARKUPS.values():
        # A parser may raise anything for what it does not read.
        with suppress(Exception):
            if ("Hm.", "So.") == tuple(map(str.strip, ask(f"{opening}Hm.{end}{before}So.{after}"))):
                return True
    return False


def _reads(parse: Parser, *texts: str) -> bool:
    """Return True if a parser reads one of the texts; markup without types leaves values as text."""

    def plain(call: Call) -> Call:
        return Call(call.name, {key: str(value).strip() for key, value in call.arguments.items()})

    for text in texts:
        # A parser may raise anything for what it does not read.
        with suppress(Exception):
            if [plain(call) for call in parse(text)] == [plain(_CALL)]:
                return True
    return False


def _row(first: str, peers: list[set[str]]) -> str:
    return (
        f"| {first} | {' | '.join([', '.join([f'`{name}`' for name in sorted(names)]) for names in peers])} |"
    )


def rows(peers: list[dict[str, Parser]]) -> list[str]:
    """Return the rows of the table: a dialect, or the opening of one that we lack, and its parsers."""
    texts = defaultdict[str, list[str]](list)
    for dialect, write in WRITERS.values():
        # In harmony, a call follows the role.
        texts[f"`{dialect}`"] += [write([_CALL]), f"<|start|>assistant{write([_CALL])}"]
    for text in _OTHERS:
        ours = [name for name in NAMES if _reads(partial(_ask_ours, name), text)]
        opening = re.split(rf'"?{_CALL.name}|\n', text)[0].replace("|", "\\|")
        texts[f"`{ours[0]}`" if ours else f"{LACKING} `{opening}`"].append(text)
    # A parser that reads a bare object reads it in any markup.
    bare = {name for peer in peers for name in peer if _reads(peer[name], *texts["`llama_json`"])}
    left, found = [set(peer) for peer in peers], []
    for first in sorted(texts, key=lambda first: (LACKING in first, first.strip("`"))):
        skipped = set[str]() if first.startswith("`llama") else bare
        reading = [{each for each in peer if _reads(peer[each], *texts[first])} - skipped for peer in peers]
        left = [names - those for names, those in zip(left, reading, strict=True)]
        found.append(_row(first, reading))
    return [*found, _row(UNREAD, left)]


def _made() -> list[str]:
    with TemporaryDirectory() as folder:
        wheels = download(Path(folder), *(sys.argv[1:] or PEERS), *_BESIDE)
        releases = [each.name.split("-")[1] for each in wheels if each.name.startswith(PEERS)]
        with unpacked(wheels):
            found = [*rows(registered()), _row(UNREAD_THOUGHTS, unread_thoughts())]
    day = dt.datetime.now(tz=dt.UTC).date()
    said = f"On {day}, with SGLang {releases[0]} and vLLM {releases[1]}:"
    return [said, table(("`Tags.calls`", "vLLM", "SGLang"), found)]


SECTION = Section(CAPABILITIES, "tests.calls_in_text.peers", _made)

if __name__ == "__main__":
    # Parsers log each text that they do not read.
    logging.disable()
    SECTION.write()
