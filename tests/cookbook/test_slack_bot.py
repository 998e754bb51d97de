"""The bot for Slack, with slack-sdk, before a server that speaks Slack's API and its Socket Mode."""

from __future__ import annotations

import asyncio
import contextlib
import runpy
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.cookbook.bots import WORDS, ChatService, answer, assert_code_is_whole, json_of
from tests.cookbook.programs import write_program
from tests.support.packages import needed
from tests.support.timing import PATIENCE
from tokenstream import testing

_EVENT = {"type": "app_mention", "channel": "C1", "ts": "7.5"}


class _Slack(ChatService):
    def __init__(self, last: str, events: list[dict[str, Any]]) -> None:
        super().__init__(4_000, last)
        self.threads = set[str]()
        self.acknowledged = list[str]()
        self.calls = list[str]()
        self.busy = 1
        """Number of edits to refuse."""
        self._events = events

    async def reply(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/socket":
            return await self._send_events(request)
        method = request.path.rpartition("/")[2]
        body: dict[str, Any] = await request.json() if request.content_type == "application/json" else {}
        text: str = body.get("markdown_text") or body.get("text") or ""
        if method.endswith("Stream"):
            return self._grow(method, body)
        if method == "chat.postMessage":
            self.threads.add(body["thread_ts"])
            return json_of(ok=True, ts=str(self.send(text)))
        if method == "chat.update" and self.busy:
            self.busy -= 1
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=_WAIT)
        if method == "chat.update":
            self.edit(int(body["ts"]), text)
        socket = str(request.url.with_path("/socket").with_scheme("ws"))
        return json_of(ok=True, url=socket)

    def _grow(self, method: str, body: dict[str, Any]) -> web.Response:
        """Add to a message in Slack's own way, in which the messages before it have ended."""
        text = "".join(chunk["text"] for chunk in body.get("chunks", []))
        self.calls.append(method)
        if method == "chat.startStream":
            assert ("T1", "U1") == (body["recipient_team_id"], body["recipient_user_id"])
            return json_of(ok=True, ts=str(self.send(text)))
        number = int(body["ts"])
        assert number == len(self.messages)
        if text:
            self.edit(number, self.messages[number - 1][-1] + text)
        return json_of(ok=True)

    async def _send_events(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for number, event in enumerate(self._events):
            payload = {"event": event}
            await socket.send_json({"type": "events_api", "envelope_id": str(number), "payload": payload})
        async for message in socket:
            self.acknowledged.append(message.json()["envelope_id"])
        return socket


_WAIT = {"Retry-After": "1"}


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., _Slack]]:
    """Send events to the bot until it has sent some last text, and return what Slack has."""
    needed("slack_sdk")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "made-up")
    monkeypatch.setenv("SLACK_APP_TOKEN", "made-up")

    async def run(last: str, *events: dict[str, Any]) -> _Slack:
        service = _Slack(last, [_EVENT | event for event in events])
        async with service.serving() as url:
            monkeypatch.setenv("SLACK_BASE_URL", f"{url}/api/")
            bot = asyncio.create_task(runpy.run_path(str(write_program("slack-bot", tmp_path)))["main"]())
            async with asyncio.timeout(PATIENCE / 3):
                await service.is_over.wait()
            bot.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await bot
        return service

    with testing.serve(answer, pace="recorded") as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
        yield lambda *arguments: asyncio.run(run(*arguments))


def test_the_message_is_edited_once_a_second(talk: Callable[..., _Slack]) -> None:
    asked = {"text": "<@B1> Why?"}
    slack = talk("end.", {"type": "reaction_added"}, asked | {"bot_id": "B2"}, asked)
    [texts] = slack.messages

    assert "word " * 25 + "end." == texts[-1]
    assert 2 <= len(texts) <= 5
    assert all(after.startswith(before) for before, after in pairwise(texts))
    assert ({"7.5"}, ["0", "1", "2"], 0) == (slack.threads, slack.acknowledged, slack.busy)


def test_a_long_answer_goes_on_in_another_message(talk: Callable[..., _Slack]) -> None:
    slack = talk(WORDS[-1].strip(), {"text": "<@B1> Write a lot!", "thread_ts": "6.0"})

    assert WORDS == [f"{word} " for text in slack.texts for word in text.split()]
    assert len("".join(WORDS)) // 4_000 + 1 == len(slack.messages)
    assert {"6.0"} == slack.threads


_ASKED = {"team": "T1", "user": "U1"}
"""What Slack's own way to let a message grow needs, and what a real event has."""


def test_code_grows_in_slacks_own_way(talk: Callable[..., _Slack]) -> None:
    """Line by line, and in messages that open a block of code anew, and close it."""
    slack = talk("That is all.", {**_ASKED, "text": "<@B1> Code!"})

    assert_code_is_whole(slack.texts)
    assert len(slack.messages) == slack.calls.count("chat.startStream") == 2
    assert slack.calls.count("chat.stopStream") >= 1


@pytest.mark.parametrize("asked", [{}, _ASKED])
def test_an_answer_that_is_cut_off_says_so(talk: Callable[..., _Slack], asked: dict[str, Any]) -> None:
    slack = talk("too long.", {**asked, "text": "<@B1> Go on!"})

    assert ["It goes on", "The answer was cut off: it is too long."] == slack.texts


def test_a_broken_answer_keeps_its_text(talk: Callable[..., _Slack]) -> None:
    slack = talk("(network).", {"text": "<@B1> Break!"})

    assert ["The sky", "The answer broke off (network)."] == [text.strip() for text in slack.texts]


def test_an_answer_notifies_nobody(talk: Callable[..., _Slack]) -> None:
    """Mentions are text, in which Slack shows `<`."""
    slack = talk("b.", {"text": "<@B1> Shout!"})

    assert ["&lt;!channel> &lt;@U1>: a < b."] == slack.texts
