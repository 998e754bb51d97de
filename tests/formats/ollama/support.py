"""Lines of Ollama, and what reading them gives."""

from __future__ import annotations

from typing import Any

from tests.formats.cohere.payloads import Payload, read_by, written
from tests.formats.told import Told
from tests.support.formats import Ollama

TIME = "2026-11-20T09:26:59.678947Z"
STATISTICS = {
    "prompt_eval_count": 17,
    "eval_count": 24,
    "total_duration": 4218611084,
    "load_duration": 1797788834,
    "prompt_eval_duration": 167135000,
    "eval_duration": 2252182000,
}

CALL = {"function": {"name": "a", "arguments": {"x": 1}}}


def line(*, done: bool = False, time: Any = TIME, **fields: Any) -> Payload:
    return {"model": "m", "created_at": time, **fields, "done": done}


def said(content: Any = "", *, time: Any = TIME, **message: Any) -> Payload:
    return line(time=time, message={"role": "assistant", "content": content, **message})


def end(reason: Any = "stop", **fields: Any) -> Payload:
    return line(
        done=True, message={"role": "assistant", "content": ""}, done_reason=reason, **STATISTICS, **fields
    )


def read(*payloads: Payload) -> Told:
    return read_by(Ollama(), *map(written, payloads))
