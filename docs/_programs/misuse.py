"""The messages of misuse, found in the package, each with the guide of the module that raises it.

A message of misuse says itself what to do. Whoever pastes one into the search gets the guide of its module.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

HOLE = "…"
"""Stands in a message for what is computed."""
MAKERS = {"MisuseError", "UnsupportedUse", "SchemaRefused", "self._make_refusal"}
"""What makes an error of misuse, or a part of its message."""
GUIDES = {
    "": "guides/errors",
    "_answer": "guides/coding-agents",
    "_basics": "guides/sources",
    "_basics/call_keys": "guides/tool-calls",
    "_basics/waits": "guides/recovery",
    "_pipeline": "guides/recovery",
    "_request": "guides/sources",
    "_request/continued": "guides/recovery",
    "_sources": "guides/sources",
    "_values": "guides/tool-calls",
    "call_store": "guides/tool-calls/details",
    "formats": "formats",
    "formats/_custom": "formats/custom",
    "formats/_detect": "guides/sources",
    "formats/_resume": "guides/recovery",
    "framing": "guides/structured-output",
    "framing/_json_rpc": "guides/coding-agents",
    "limits": "guides/sources",
    "otel": "guides/opentelemetry",
    "partial_json": "guides/structured-output",
    "recovery": "guides/recovery",
    "recovery/_purse": "guides/money",
    "recovery/_route": "guides/routes",
    "recovery/_spending": "guides/guards",
    "relay": "guides/relay",
    "relay/journal/_journal": "guides/journals",
    "router": "guides/tool-calls",
    "schemas": "guides/structured-output/details",
    "schemas/_in_request": "guides/structured-output",
    "session": "guides/sessions",
    "stages": "guides/ui",
    "stages/_guards": "guides/guards",
    "stages/_handlers": "guides/tool-calls",
    "stages/_reorder": "guides/recovery/details",
    "stages/_tools": "guides/tool-calls",
    "stages/_tools/store": "guides/tool-calls/details",
    "steps": "guides/coding-agents",
    "stream": "guides/sources",
    "stream/_async": "guides/websockets",
    "stream/_continuation": "guides/pauses",
    "stream/_driver": "guides/fan-out",
    "stream/_fan_out": "guides/fan-out",
    "stream/_guarding": "guides/guards",
    "stream/_outputs": "guides/tool-calls/details",
    "stream/_pauses": "guides/pauses",
    "stream/_prices": "guides/routes",
    "stream/_reading": "guides/events",
    "stream/_refusals": "guides/fan-out",
    "stream/_running": "guides/router",
    "stream/_session": "guides/websockets",
    "stream/_sync": "guides/websockets",
    "stream/_tap": "guides/tap",
    "stream/_views": "guides/events",
    "stream/_views/text_plan": "guides/ui",
    "terminal": "guides/ui",
    "testing": "guides/testing",
    "testing/_recordings/replay": "guides/testing/details",
    "testing/_script_steps": "guides/testing/details",
    "turns": "guides/turns",
    "turns/_in_text": "guides/tool-calls/in-text",
}
"""The guide of each room, and of modules and folders in it that have another one."""
_HOLES = re.compile(f"{HOLE}+")


def find_misuse(package: Path) -> dict[str, list[str]]:
    """Return the messages of misuse by the guides that they lead to."""
    found: dict[str, list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        guide = _guide_of(path.relative_to(package).with_suffix("").as_posix())
        for message in raised_in(ast.parse(path.read_text(encoding="utf-8")), MAKERS):
            found.setdefault(guide, []).append(message)
    return found


def _guide_of(module: str) -> str:
    while module not in GUIDES:
        module = module.rpartition("/")[0]
    return GUIDES[module]


def raised_in(tree: ast.Module, makers: Collection[str]) -> Iterator[str]:
    """Yield the literal messages with which errors are made, also those that a variable or a constant has."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    constants = dict(_assigned(tree.body))
    for function in functions:
        nodes = [*ast.walk(function)]
        held = constants | dict(_assigned(nodes))
        for node in nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func) in makers:
                texts = [held.get(ast.unparse(each), "") or text_of(each) for each in node.args]
                yield from (shorten(text) for text in texts if re.search(r"\w", text))


def _assigned(nodes: list[ast.AST] | list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, text_of(node.value)


def shorten(text: str) -> str:
    """Return a text with one hole in place of several that follow each other."""
    return _HOLES.sub(HOLE, text)


def text_of(node: ast.AST) -> str:
    """Return the text of a literal, with a hole in place of what is computed; "" for anything else."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(text_of(part) or HOLE for part in values)
        case ast.BinOp(left, _, right):
            return (text_of(left) or HOLE) + (text_of(right) or HOLE)
    return ""
