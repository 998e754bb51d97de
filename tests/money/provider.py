"""A provider whose model makes the transfers that it is asked for, and which breaks in every third answer."""

from __future__ import annotations

import json
import random
from typing import Any, Self

from tests.support.replies import reply
from tests.support.wire import DONE, sse
from tokenstream import testing
from tokenstream.testing import Recording, Request


class Provider:
    """Serves `POST …/chat/completions` on loopback until its `with` block ends.

    A question is a list of transfers, as JSON. Each answer to it calls the same tools in the same order, with
    other ids, and arguments that are written in other ways.

    Args:
        rng: Decides where an answer breaks, and how its calls are written.
    """

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
        """Return an answer, a part of one, or status 503."""
        fate = self.rng.random()
        if fate < 0.1:
            return Recording(status=503)
        asked: Any = request.json
        chunks = self.make_chunks(asked["messages"])
        sent = chunks[: self.rng.randrange(len(chunks)) if fate < 0.35 else None]
        return reply((0.001, chunk) for chunk in sent)

    def make_chunks(self, messages: list[Any]) -> list[bytes]:
        """Return the answer to a conversation: the calls, and then a text."""
        id = f"chatcmpl-{self.rng.getrandbits(64):x}"
        deltas: list[Any] = [{"role": "assistant", "content": "Sending." if len(messages) == 1 else "Done."}]
        transfers: list[Any] = json.loads(messages[0]["content"]) if len(messages) == 1 else []
        for number, (to, usd) in enumerate(transfers):
            pieces = [f'"to": "{to}"', f'"usd": {self.rng.choice([usd, float(usd)])}']
            self.rng.shuffle(pieces)
            call = {"index": number, "id": f"call_{self.rng.getrandbits(64):x}", "type": "function"}
            deltas.append(
                {"tool_calls": [{**call, "function": {"name": "transfer", "arguments": "{" + pieces[0]}}]}
            )
            rest = {"arguments": f", {pieces[1]}}}"}
            deltas.append({"tool_calls": [{"index": number, "function": rest}]})
        finish = "tool_calls" if len(messages) == 1 else "stop"
        choices = [{"index": 0, "delta": delta} for delta in deltas]
        events = [*choices, {"index": 0, "delta": {}, "finish_reason": finish}]
        return [sse({"id": id, "model": "m", "choices": [event]}) for event in events] + [DONE]
