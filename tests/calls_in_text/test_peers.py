"""The table of the peers' parsers: made of their wheels, and in step with our own dialects."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tests.calls_in_text.peers import (
    LACKING,
    SECTION,
    UNREAD,
    download,
    registered,
    rows,
    unpacked,
    unread_thoughts,
)
from tests.project import ROOT
from tokenstream.stages._calls.dialects import NAMES

_VLLM = """
import json, re, torch.nn.functional as functional
from transformers import AutoTokenizer
from vllm.entrypoints.openai.protocol import FunctionCall, ToolCall, ToolCallInformation
from vllm.logger import init_logger

init_logger(__name__).debug("imported with %s", AutoTokenizer)

class Parser:
    def __init__(self, tokenizer, tools):
        assert tokenizer.get_vocab()[self.opening] and tools[0].function.parameters

    def extract_tool_calls(self, text, request):
        object = json.loads(re.search(re.escape(self.opening) + r"\\s*({.*})", text)[1])
        function = FunctionCall(name=object["name"], arguments=json.dumps(object["arguments"]))
        return ToolCallInformation(tools_called=True, tool_calls=[ToolCall(function=function)])

class One(Parser):
    opening = "<tool_call>"

class Other(Parser):
    opening = "<function_call>"

class Third(Parser):
    opening = "<no_such_markup>"
"""
_FILES = {
    "vllm/__init__.py": "raise ImportError('a server')",
    "vllm/tool_parsers/__init__.py": "_TOOL_PARSERS_TO_REGISTER = {"
    "'one': ('parsers', 'One'), 'other': ('parsers', 'Other'), 'third': ('parsers', 'Third')}",
    "vllm/tool_parsers/parsers.py": _VLLM,
    "vllm/reasoning/__init__.py": "_REASONING_PARSERS_TO_REGISTER = {"
    "'ours': ('parsers', 'Ours'), 'theirs': ('parsers', 'Theirs')}",
    "vllm/reasoning/parsers.py": """
class Theirs:
    opening, end = "<|muse|>", "<|/muse|>"

    def __init__(self, tokenizer):
        assert tokenizer.vocab[self.opening]

    def extract_reasoning(self, text, request):
        reasoning, found, content = text.removeprefix(self.opening).partition(self.end)
        return (reasoning, content) if found else (None, text)

class Ours(Theirs):
    opening, end = "[THINK]", "[/THINK]"
""",
    "sglang/srt/parser/__init__.py": "",
    "sglang/srt/parser/reasoning_parser.py": """
from types import SimpleNamespace as Made

class Detector:
    def detect_and_parse(self, text):
        raise ValueError(text)

class ReasoningParser:
    DetectorMap = {"raises": Detector}
""",
    "sglang/srt/function_call/__init__.py": "",
    "sglang/srt/function_call/function_call_parser.py": """
from types import SimpleNamespace as Made

class Detector:
    def detect_and_parse(self, text, tools):
        found = '[TOOL_CALLS]look[ARGS]' in text
        return Made(calls=[Made(name="look", parameters='{"text": "Oslo", "n": 2}')] * found)

class FunctionCallParser:
    ToolCallParserEnum = {"mine": Detector}
""",
}


def _cells(row: str) -> list[set[str]]:
    return [set(re.findall(r"`([^`]+)`", cell)) for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def test_parsers_are_read_from_wheels_without_what_they_import(tmp_path: Path) -> None:
    """The row of a parser is that of the markup that it reads; nothing of it stays in the process."""
    with ZipFile(tmp_path / "peers.whl", "w") as wheel:
        for name, text in _FILES.items():
            wheel.writestr(name, text)
    with unpacked([tmp_path / "peers.whl"]):
        found, thoughts = rows(registered()), unread_thoughts()

    assert "| `hermes` | `one` |  |" in found
    assert "| `mistral` |  | `mine` |" in found
    assert f'| {LACKING} `<function_call> {{"name": ` | `other` |  |' in found
    assert f"| {UNREAD} | `third` |  |" == found[-1]
    assert [{"theirs"}, {"raises"}] == thoughts
    assert {"torch", "transformers", "vllm", "sglang"}.isdisjoint(sys.modules)


def test_an_index_without_the_wheel_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(
        SystemExit, match=r"no wheel of one of no-such-parser:\n(.|\n)*[Nn]o (matching|module)"
    ):
        download(tmp_path, "no-such-parser")


def test_the_page_has_our_dialects_and_the_parsers_that_our_table_names() -> None:
    """A dialect that was added, or a parser that is no longer there, asks for `python -m` of the section."""
    made: list[Any] = [_cells(line) for line in SECTION.on_the_page().splitlines() if line.startswith("|")][
        2:
    ]
    guide = (ROOT / "docs" / "guides" / "tool-calls" / "in-text.md").read_text("utf-8")
    named = [
        _cells(line)[-2:] for line in guide.partition("| `Tags.calls` |")[2].splitlines() if line[:1] == "|"
    ]
    lacking = [row for row in SECTION.on_the_page().splitlines() if row.startswith(f"| {LACKING}")]

    assert set(NAMES) == set().union(*[first for first, *_ in made[: -2 - len(lacking)]])
    for peer in (1, 2):
        read = set().union(*[row[peer] for row in made if row not in map(_cells, lacking)])
        assert set().union(*[cells[peer - 1] for cells in named]) <= read
