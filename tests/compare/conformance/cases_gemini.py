"""Answers in gemini, as gateways send them."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.compare.conformance.case import CompatibleCase
from tests.compare.conformance.cuts import gemini_payload
from tests.support import wire


def _gemini(*payloads: dict[str, Any]) -> bytes:
    return b"".join(map(wire.sse, payloads))


_GEMINI_HELLO = (gemini_payload({"text": "Hel"}), gemini_payload({"text": "lo"}, finish="STOP"))

_case = partial(CompatibleCase, "gemini")
CASES = [
    _case(
        "gemini-comments",
        "comments between the events (gateways)",
        b": keep-alive\n\n" + _gemini(*_GEMINI_HELLO),
        text="Hello",
    ),
    _case(
        "gemini-event-names",
        "an `event:` line before each payload (gateways)",
        b"".join([wire.sse(payload, event="message") for payload in _GEMINI_HELLO]),
        text="Hello",
    ),
    _case(
        "gemini-no-space",
        "`data:` without the space",
        _gemini(*_GEMINI_HELLO).replace(b"data: ", b"data:"),
        text="Hello",
    ),
    _case(
        "gemini-call-without-arguments",
        "a call without `args`",
        _gemini(gemini_payload({"functionCall": {"name": "now"}}, finish="STOP")),
        calls=[(None, "now", {})],
    ),
    _case(
        "gemini-error-in-the-stream",
        "an error object after the first text",
        _gemini(
            gemini_payload({"text": "Hel"}), {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}
        ),
        text="Hel",
        fails=True,
    ),
]
