"""Reads each recording in every way in which its bytes, its messages and its JSON are read.

python -m tests.evidence.readings

Recordings are those of this repository, and those of real servers in ../shared, where it exists.
A body is read with its format detected and named, by events, in pieces of a few bytes, and asynchronously.
The messages become turns of each API; arguments, and answers in JSON, are read while they grow.
The lines of coding agents, which lie beside the tests of runs, are followed.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from tests.project import ROOT
from tests.support.recordings import Recorded, of_native_routes, ours, shared
from tokenstream import AsyncStream, Message, Steps, Stream
from tokenstream.errors import NotExpressible, TokenStreamError
from tokenstream.partial_json import PartialJSONParser

_PIECE = 1_400
"""Bytes of a body that come at once: what a packet holds."""
_FEW_BYTES = 7
"""Short enough to cut through each name, number and character of several bytes."""
_MOST_BY_EVENT, _MOST_ASYNC, _MOST_BY_FEW_BYTES = 100_000, 20_000, 5_000
"""Bytes of a body above which it is not read in this way: another one shows the same."""
_MOST_JSON = 20_000
"""Characters that are read as JSON while it grows."""
_TURNS = (
    "to_openai_chat",
    "to_openai_responses",
    "to_anthropic",
    "to_gemini",
    "to_bedrock",
    "to_cohere",
    "to_mistral",
    "to_ollama",
)
_LINES_OF_AGENTS = ROOT / "tests" / "steps" / "agents" / "recordings"
_EVENT = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")


def main() -> None:
    """Read all recordings, by two processes, and print how many they are."""
    warnings.simplefilter("ignore")
    recordings = [*ours(), *of_native_routes(), *shared()]
    other = os.fork()
    for recorded in recordings[0 if other else 1 :: 2]:
        _read_in_every_way(recorded)
    if not other:
        os._exit(0)
    for path in sorted(_LINES_OF_AGENTS.rglob("*.jsonl")):
        _follow(path.read_bytes().splitlines())
    _, status = os.waitpid(other, 0)
    sys.stdout.write(f"{len(recordings)} bodies read\n")
    sys.exit(os.waitstatus_to_exitcode(status))


def _follow(lines: list[bytes]) -> None:
    with Steps() as run, suppress(TokenStreamError):
        for _ in run.follow(lines):
            str(run)


def _read_in_every_way(recorded: Recorded) -> None:
    body = recorded.body
    messages = _read(_pieces(body, _PIECE))
    if recorded.format != "custom":
        _read([body], format=recorded.format)
    if len(body) <= _MOST_BY_EVENT:
        _read([event for event in _EVENT.split(body) if event])
    if len(body) <= _MOST_BY_FEW_BYTES:
        _read(_pieces(body, _FEW_BYTES))
    if len(body) <= _MOST_ASYNC:
        asyncio.run(_read_async(_pieces(body, _PIECE)))
    for message in messages:
        _send_back(message)
        for text in _json_of(message):
            for lenient in (False, True):
                _read_growing(text[:_MOST_JSON], lenient=lenient)


def _pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def _read(pieces: list[bytes], **options: Any) -> tuple[Message, ...]:
    stream = Stream(iter(pieces), **options)
    # Many answers of real servers fail; what came before is a message all the same.
    with suppress(TokenStreamError):
        for _ in stream:
            pass
    return tuple(stream.messages) or (stream.message,)


async def _read_async(pieces: list[bytes]) -> None:
    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    stream = AsyncStream(source())
    with suppress(TokenStreamError):
        async for _ in stream:
            pass


def _send_back(message: Message) -> None:
    """Turn a message into that of each API's next request, without what the API has no words for."""
    for method in _TURNS:
        turn = getattr(message, method)
        try:
            turn()
        except NotExpressible as error:
            # Of some messages nothing is left.
            with suppress(NotExpressible):
                turn(drop=tuple(error.kinds))


def _json_of(message: Message) -> Iterator[str]:
    for call in message.tool_calls:
        yield call.arguments_text
    if message.text.lstrip()[:1] in {"{", "[", "`"}:
        yield message.text


def _read_growing(text: str, *, lenient: bool) -> None:
    parser = PartialJSONParser(lenient=lenient)
    # What a model wrote need not be JSON.
    with suppress(TokenStreamError):
        for start in range(0, len(text), _FEW_BYTES):
            parser.feed(text[start : start + _FEW_BYTES])
            _ = parser.value
        parser.end()


if __name__ == "__main__":
    main()
