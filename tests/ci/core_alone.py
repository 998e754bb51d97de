"""Run programs in copies of the package that end at one of its rings: what is outside is not there.

python -m tests.ci.core_alone
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.house.budget import SHARES
from tests.house.first_program import PROGRAM, WORDS, answering
from tests.house.rings import ring_of
from tests.project import PACKAGE, ROOT

_ANSWER = f"""
from tokenstream import Router, Stream

def ask(*words):
    return Stream(words, format="pieces")
words = {WORDS}
print(*ask(*words).text, sep="")
assert ask(*words).final().text == "".join(words)
assert ask(*words).final().to_openai_chat()["content"] == "".join(words)
assert ask('{{"a": "', *words, '"}}').result(dict[str, str])["a"] == "".join(words)
assert ask(*words).run(Router()).message.text == "".join(words)
assert [*ask(*words).text.markdown_blocks()][-1].text == "".join(words)
"""
_RELAY = f"""
import asyncio
from starlette.websockets import WebSocket
from tokenstream import AsyncStream, Stream, relay

def ask(kind=AsyncStream):
    return kind({WORDS}, format="pieces")

first = [{{"type": "websocket.connect"}}]
async def receive():
    return first.pop() if first else await asyncio.sleep(60)
async def send(message):
    print(message.get("body") or message.get("text"))
async def main():
    scope = {{"path": "/", "headers": [], "query_string": b"", "subprotocols": []}}
    await relay.websocket(WebSocket(scope | {{"type": "websocket"}}, receive, send), ask())
    await relay.respond(ask())(scope | {{"type": "http", "method": "GET"}}, receive, send)
    async with relay.MemoryJournal() as journal:
        id = await journal.start(ask(), owner="ann")
        assert len([entry async for entry in journal.follow(id, owner="ann")]) > len({WORDS})
assert [*relay.payloads(ask(Stream), "ui-message")]
assert b"".join(relay.encode(ask(Stream), "ui-message"))
asyncio.run(main())
"""
_PROGRAMS = {
    "answer": {"text, messages, turns, objects, tools, Markdown": _ANSWER},
    "recovery": {
        "README": PROGRAM,
        **{name: (ROOT / "examples" / name).read_text(encoding="utf-8") for name in ("ask.py", "keep.py")},
        "a retry": PROGRAM.replace("connect\n", "Retry, connect\n").replace("json=", "retry=Retry(), json="),
    },
    "relay": {"README": PROGRAM, "encode, respond, websocket, a journal": _RELAY},
}
"""The programs of each ring, which print an answer."""


def main() -> int:
    """Print which programs ran, and return 1 if one has failed."""
    failed = 0
    for ring, programs in _PROGRAMS.items():
        inside = [*SHARES][: [*SHARES].index(ring) + 1]

        def is_outside(folder: str, names: list[str], inside: list[str] = inside) -> set[str]:
            here = Path(folder).relative_to(PACKAGE).as_posix()
            return {each for each in names if here == "." and ring_of(each) not in inside}

        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(PACKAGE, Path(folder) / PACKAGE.name, ignore=is_outside)
            for name, program in programs.items():
                error = _run(program, folder)
                failed += bool(error)
                sys.stdout.write(f"{ring}: {name}: {error or 'ran'}\n")
    return 1 if failed else 0


def _run(program: str, folder: str) -> str:
    """Run a program in a folder, and return what went wrong, or nothing."""
    is_copy = f"import tokenstream\nassert tokenstream.__file__.startswith({folder!r})\n"
    with answering() as environment:
        command = [sys.executable, "-c", is_copy + program]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, check=False, text=True
        )
    said = [word.strip() for word in WORDS if word.strip() not in done.stdout]
    return done.stderr or (f"did not print {said}" if said else "")


sys.exit(main())
