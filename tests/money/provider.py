"""A provider whose model makes the transfers that it is asked for, and which breaks in every third answer."""

from __future__ import annotations

import json
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

from tests.support.wire import DONE, sse


class Provider:
    """Serves `POST …/chat/completions` on loopback until its `with` block ends.

    A question is a list of transfers, as JSON. Each answer to it calls the same tools in the same order, with
    other ids, and arguments that are written in other ways.

    Args:
        rng: Decides where an answer breaks, and how its calls are written.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                provider.answer(self, request["messages"])

            def log_message(self, format: str, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, messages: list[Any]) -> None:
        """Send an answer, a part of one, or status 503."""
        fate = self.rng.random()
        if fate < 0.1:
            handler.send_response(503)
            handler.send_header("content-length", "0")
            handler.end_headers()
            return
        chunks = self.make_chunks(messages)
        # Without a length, the body ends with the connection.
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        try:
            for chunk in chunks[: self.rng.randrange(len(chunks)) if fate < 0.35 else None]:
                handler.wfile.write(chunk)
                handler.wfile.flush()
                time.sleep(0.001)
        except OSError:
            # The process that asked was killed.
            handler.close_connection = True

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
