"""Answers whose texts would be markup, or would control a terminal or the direction of writing."""

from __future__ import annotations

import json

from tests.support.wire import sse
from tokenstream.testing import Recording

HOSTILE = (
    "<script>alert(1)</script>",
    '"onload="alert(1)',
    "' onclick='alert(1)",
    "</details></pre></td></table></body>",
    "</title></style><img src=x onerror=alert(1)>",
    "<!-- ]]> <![CDATA[ <svg/onload=alert(1)>",
    "&lt;b&gt; &#60;i&#62;",
    "a\x00b",
    "half \ud800 a pair",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202eright to left\u2066",
    "\n\r\n\u2028{{7*7}}${7*7}",
)


def hostile(text: str) -> Recording:
    """Return an answer with a text wherever a server can put one."""
    call = {
        "index": 0,
        "id": text,
        "type": "function",
        "function": {"name": text, "arguments": json.dumps(text)},
    }
    payload = {"id": text, "object": "chat.completion.chunk", "model": text, text: text}
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": text, "reasoning_content": text, text: text},
    }
    called = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    error = {"error": {"message": text, "type": text, "code": text}}
    return Recording.of(
        [
            sse({**payload, "choices": [choice]}),
            sse({**payload, "choices": [called]}),
            sse({**payload, "usage": {"prompt_tokens": 1, text: text}, "choices": []}),
            sse({**payload, "choices": [{"index": 0, "delta": {"refusal": text}, "finish_reason": text}]}),
            sse(error),
        ]
    )
