"""Ask a server of llama.cpp in its four APIs, and print where their messages differ.

`python -m tests.ci.llama_cpp SERVER SOURCE`: the program, and the source it was built from. The APIs give
the same answer of a scripted model, so that each is the judge of the others.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.ci.scripted_model import SCRIPTS, write
from tokenstream import Stream
from tokenstream.errors import StreamError

_SCHEMA = {"type": "object", "properties": {"x": {"type": "string", "maxLength": 5}}, "required": ["x"]}
_FUNCTION = {"name": "pay", "description": "Pay.", "parameters": _SCHEMA}
_TOOLS: dict[str, list[Any]] = {
    "chat": [{"type": "function", "function": _FUNCTION}],
    "responses": [{"type": "function", **_FUNCTION}],
    "messages": [{"name": "pay", "description": "Pay.", "input_schema": _SCHEMA}],
}
_MESSAGES = [{"role": "user", "content": "Hi"}]
_USAGE = {"stream_options": {"include_usage": True}}
_ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": _MESSAGES, "max_tokens": 200, **_USAGE}),
    "responses": ("/v1/responses", {"input": "Hi", "max_output_tokens": 200}),
    "messages": ("/v1/messages", {"messages": _MESSAGES, "max_tokens": 200, "model": "m"}),
    "completion": ("/completion", {"n_predict": 200}),
}
_SECONDS = 120


@contextmanager
def _serving(server: Path, model: Path) -> Iterator[str]:
    """Run a server with a model, and yield its URL once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--jinja", "-c", "4096", "-np", "1", "--host", "127.0.0.1", "--port", str(port)]
    with model.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen([server, "-m", model, *options], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + _SECONDS
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(model.with_suffix(".log").read_text(encoding="utf-8", errors="replace"))
            time.sleep(0.2)
        yield url
    finally:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _answer(url: str, api: str, prompt: str) -> dict[str, Any]:
    """Return what the library reads of the answer of an API, in plain values."""
    path, body = _ASKED[api]
    asked = {**body, "stream": True, "temperature": 0}
    asked |= {"prompt": prompt} if api == "completion" else {"tools": _TOOLS[api]}
    handed_out = list[Any]()
    with httpx.stream("POST", url + path, json=asked, timeout=_SECONDS, trust_env=False) as response:
        stream, error = Stream(response), None
        try:
            handed_out += [(call.name, call.arguments) for call in stream.tool_calls]
            message = stream.final()
        except StreamError as failure:
            error, message = f"{type(failure).__name__}: {failure}", stream.message
    return {
        "error": error,
        "text": message.text,
        "reasoning": message.reasoning,
        "calls": [(call.name, call.arguments) for call in message.tool_calls],
        "handed_out": handed_out,
        "finish_reason": message.finish_reason,
        "output_tokens": message.usage.output_tokens,
        "departures": dict(stream.departures.details),
    }


def _compare(url: str, name: str) -> int:
    """Print what each API says of an answer, and what differs from the chat; return how much does."""
    template = httpx.post(f"{url}/apply-template", json={"messages": _MESSAGES}, trust_env=False)
    answers = {api: _answer(url, api, template.json()["prompt"]) for api in _ASKED}
    count = 0
    for api, answer in answers.items():
        sys.stdout.write(f"{name}, {api}: {answer}\n")
        # A completion has the markup of reasoning and calls in its text.
        compared = answer.keys() - {"departures"} if api != "completion" else {"error"}
        for field in sorted(compared):
            if answer[field] != answers["chat"][field]:
                count += 1
                sys.stdout.write(f"  DIFFERS from the chat in {field}: {answers['chat'][field]!r}\n")
    return count


def main(server: Path, source: Path) -> None:
    """Compare the answers of all scripted models."""
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in SCRIPTS:
            model = Path(folder, f"{name}.gguf")
            write(source, name, model)
            with _serving(server, model) as url:
                count += _compare(url, name)
    sys.stdout.write(f"{count} differences between the APIs of llama.cpp\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
