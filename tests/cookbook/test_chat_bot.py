"""The bot of the cookbook, with Telegram's library, before a server that speaks Telegram's API."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from queue import Empty, Queue
from typing import Any, cast
from urllib.parse import parse_qsl

import pytest

from tests.cookbook.bots import answer
from tests.cookbook.programs import environment, write_program
from tests.support.packages import needed
from tests.support.timing import wait_for
from tokenstream import testing

_BOT = {"id": 1, "is_bot": True, "first_name": "Bot", "username": "bot"}


class _Telegram(ThreadingHTTPServer):
    """Keeps what a user of the chat sees: each message with all its texts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Method)
        self.asked: Queue[dict[str, Any]] = Queue()
        self.messages: list[list[str]] = []
        self.busy = 0
        """Number of edits to refuse."""
        self._updates = 0

    def say(self, text: str) -> None:
        self._updates += 1
        self.messages.clear()
        message = {**_message(0, text), "from": {"id": 2, "is_bot": False, "first_name": "Ada"}}
        self.asked.put({"update_id": self._updates, "message": message})

    def see(self, last: list[str]) -> list[str]:
        """Wait until these are the last texts of the messages; return all texts of the first message."""
        wait_for(
            lambda: last == [texts[-1] for texts in self.messages], seconds=20, seen=lambda: self.messages
        )
        return self.messages[0]

    def answer(self, method: str, values: dict[str, str]) -> tuple[int, Any]:
        if method == "getUpdates":
            try:
                return 200, [self.asked.get(timeout=0.2)]
            except Empty:
                return 200, []
        if method == "sendMessage":
            self.messages.append([values["text"]])
            return 200, _message(len(self.messages), values["text"])
        if method == "editMessageText":
            if self.busy:
                self.busy -= 1
                return 429, 1
            self.messages[int(values["message_id"]) - 1].append(values["text"])
            return 200, _message(int(values["message_id"]), values["text"])
        return 200, _BOT if method == "getMe" else True


class _Method(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        values = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"] or 0)).decode()))
        telegram = cast("_Telegram", self.server)
        status, result = telegram.answer(self.path.rpartition("/")[2], values)
        body: dict[str, Any] = {"ok": status == 200, "result": result}
        if status != 200:
            body |= {"error_code": status, "description": "busy", "parameters": {"retry_after": result}}
        sent = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def _message(number: int, text: str) -> dict[str, Any]:
    chat = {"id": 2, "type": "private", "first_name": "Ada"}
    return {"message_id": number, "date": 1, "chat": chat, "text": text}


@pytest.fixture(scope="module")
def telegram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Telegram]:
    needed("telegram")
    folder = tmp_path_factory.mktemp("chat_bot")
    program = write_program("chat-bot", folder)
    with testing.serve(answer, pace="recorded") as provider, _Telegram() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        variables = environment(
            OPENAI_BASE_URL=f"{provider.url}/v1",
            TELEGRAM_BASE_URL=f"http://127.0.0.1:{server.server_port}/bot",
            TELEGRAM_TOKEN="1:made-up",
        )
        with subprocess.Popen([sys.executable, str(program)], cwd=folder, env=variables) as bot:
            try:
                yield server
            finally:
                bot.terminate()
                bot.wait(20)
                server.shutdown()
                thread.join(10)


def test_the_message_is_edited_once_a_second(telegram: _Telegram) -> None:
    """In two and a half seconds it has four texts or so, of the many pieces that arrive."""
    telegram.say("Why?")
    sent, *edits = telegram.see(["word " * 25 + "end."])

    assert "…" == sent
    assert 2 <= len(edits) <= 5
    assert all(after.startswith(before) for before, after in pairwise(edits))


def test_the_bot_waits_as_long_as_telegram_asks(telegram: _Telegram) -> None:
    telegram.busy = 1
    telegram.say("Wait!")
    telegram.see(["The sky is blue."])

    assert 0 == telegram.busy


def test_a_broken_answer_keeps_its_text(telegram: _Telegram) -> None:
    telegram.say("Break!")
    telegram.see(["The sky", "The answer broke off (network)."])
