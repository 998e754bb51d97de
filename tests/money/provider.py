"""A provider whose model makes the transfers that it is asked for, and which breaks in every third answer."""

from __future__ import annotations

import json
import random
from typing import Any, Self

from tests.support.replies import reply
from tokenstream import testing
from tokenstream.testing import Recording, Request

FORMATS = {"openai-chat": "/chat/completions", "anthropic": "/messages", "openai-responses": "/responses"}
"""The path under which a format is asked for."""
SENDING = "I am going to send all of the money now, as you have asked me to."
DONE = "All of the money is on its way to those whom you have named."


class Served:
    """A provider on loopback until its `with` block ends; `rng` decides where an answer breaks."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._server = testing.serve(self.answer, pace="recorded")

    def __enter__(self) -> Self:
        self._server.start()
        self.url = f"{self._server.url}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def answer(self, request: Request) -> Recording:
        raise NotImplementedError


class Provider(Served):
    """Serves the paths of `FORMATS`.

    A question is a list of transfers, as JSON. Each answer to it calls the same tools in the same order, with
    other ids, and arguments that are written in other ways. An answer that broke off in its text is continued
    if the request asks for that.
    """

    def answer(self, request: Request) -> Recording:
        """Return an answer, a part of one, or status 503."""
        fate = self.rng.random()
        if fate < 0.1:
            return Recording(status=503)
        asked: Any = request.json
        [format] = [name for name, path in FORMATS.items() if request.path.endswith(path)]
        chunks = self.make_chunks(asked.get("messages") or asked["input"], format)
        sent = chunks[: self.rng.randrange(len(chunks)) if fate < 0.35 else None]
        return reply((0.001, chunk) for chunk in sent)

    def make_chunks(self, turns: list[Any], format: str) -> list[bytes]:
        """Return the answer to a conversation: a text and the calls, and then a text alone."""
        question, *later = turns
        is_first = not any(word in json.dumps(later) for word in ("tool_call_id", "tool_use_id", "call_id"))
        text = SENDING if is_first else DONE
        if later and later[-1].get("role") == "user" and "last_words" in json.dumps(later[-1]):
            said = _text_of(later[-2])
            text = said[-40:] + text[len(said) :]
        half = len(text) // 2
        script = testing.script(id=f"answer-{self.rng.getrandbits(64):x}").text(text[:half], text[half:])
        for to, usd in json.loads(question["content"]) if is_first else []:
            pieces = [f'"to": "{to}"', f'"usd": {self.rng.choice([usd, float(usd)])}']
            self.rng.shuffle(pieces)
            id = f"call_{self.rng.getrandbits(64):x}"
            script = script.tool_call("transfer", ["{" + pieces[0], f", {pieces[1]}}}"], id=id)
        return script.usage(input_tokens=9, output_tokens=9).finish().chunks(format)


def _text_of(turn: Any) -> str:
    content = turn["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
