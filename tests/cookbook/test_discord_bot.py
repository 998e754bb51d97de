"""The bot for Discord, with discord.py, before a server that speaks Discord's API."""

from __future__ import annotations

import asyncio
import runpy
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.cookbook.bots import WORDS, ChatService, answer, assert_code_is_whole, json_of
from tests.cookbook.programs import write_program
from tests.support.packages import needed
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from aiohttp import web

pytestmark = pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")
_BOT = {"id": "1", "username": "bot", "discriminator": "0", "avatar": None, "bot": True}
_USER = {**_BOT, "id": "3", "username": "ada", "bot": False}
_APPLICATION = {
    "id": "1",
    "name": "bot",
    "description": "",
    "icon": None,
    "owner": _USER,
    "verify_key": "",
    "bot_public": False,
    "bot_require_code_grant": False,
}
_CHANNEL = 2


class _Discord(ChatService):
    async def reply(self, request: web.Request) -> web.StreamResponse:
        path, method = request.path, request.method
        if path == "/users/@me":
            return json_of(**_BOT)
        if path == "/oauth2/applications/@me":
            return json_of(**_APPLICATION)
        content = (await request.json())["content"]
        if method == "PATCH":
            number = int(path.rpartition("/")[2])
            self.edit(number, content)
        else:
            number = self.send(content)
        return json_of(**_message(number, content, _BOT))


def _message(number: int, content: str, author: dict[str, Any], *mentions: dict[str, Any]) -> dict[str, Any]:
    lists = dict.fromkeys(["attachments", "embeds", "mention_roles", "components"], ())
    times = {"timestamp": "2026-11-29T10:00:00+00:00", "edited_timestamp": None}
    flags = {"tts": False, "mention_everyone": False, "pinned": False, "type": 0}
    at = {"id": str(number), "channel_id": str(_CHANNEL), "content": content}
    return {**at, **lists, **times, **flags, "author": author, "mentions": list(mentions)}


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[list[str]]]]:
    discord = needed("discord")

    async def talk(data: dict[str, Any]) -> list[list[str]]:
        service = _Discord(limit=2_000)
        bot = runpy.run_path(str(write_program("discord-bot", tmp_path)))["bot"]
        async with service.serving() as url, bot:
            monkeypatch.setattr(discord.http.Route, "BASE", url.rstrip("/"))
            await bot.login("made-up")
            channel = bot.get_partial_messageable(_CHANNEL)
            await bot.on_message(discord.Message(state=bot._connection, channel=channel, data=data))  # noqa: SLF001
        return service.messages

    with testing.serve(answer, pace="recorded") as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
        yield lambda text, author=_USER, mentions=(_BOT,): asyncio.run(
            talk(_message(9, text, author, *mentions))
        )


def test_the_reply_is_edited_once_a_second(say: Callable[..., list[list[str]]]) -> None:
    """In two and a half seconds it has four texts or so, of the many pieces that arrive."""
    [[sent, *edits]] = say("<@1> Why?")

    assert ("…", "word " * 25 + "end.") == (sent, edits[-1])
    assert 2 <= len(edits) <= 5
    assert all(after.startswith(before) for before, after in pairwise(edits))


def test_a_long_answer_goes_on_in_another_reply(say: Callable[..., list[list[str]]]) -> None:
    """No word is cut, and each reply is as long as it may be."""
    texts = [texts[-1] for texts in say("<@1> Write a lot!")]

    assert WORDS == [f"{word} " for text in texts for word in text.split()]
    assert len("".join(WORDS)) // 2_000 + 1 == len(texts)


@pytest.mark.parametrize(
    "asked, texts",
    [
        ("Break!", ["The sky", "The answer broke off (network)."]),
        ("Refuse!", ["…", "The answer broke off (server)."]),
        ("Go on!", ["It goes on", "The answer was cut off: it is too long."]),
        ("Say nothing!", ["…", "The answer is empty."]),
    ],
)
def test_an_answer_that_is_not_whole_keeps_its_text_and_says_so(
    asked: str, texts: list[str], say: Callable[..., list[list[str]]]
) -> None:
    """It has broken off, the provider has cut it off, or has sent none."""
    assert texts == [each[-1] for each in say(f"<@1> {asked}")]


def test_code_is_cut_between_its_lines(say: Callable[..., list[list[str]]]) -> None:
    texts = [texts[-1] for texts in say("<@1> Code!")]

    assert len(texts) == 4
    assert_code_is_whole(texts)


def test_nobody_else_is_answered(say: Callable[..., list[list[str]]]) -> None:
    assert [] == say("Why?", mentions=())
    assert [] == say("<@1> Why?", author={**_BOT, "id": "4"})
