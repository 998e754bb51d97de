"""A provider whose answer is named by the prompt, such as `case-cut`."""

from __future__ import annotations

import re
from collections.abc import Callable

from tokenstream import testing
from tokenstream.formats._registry import format_of_path
from tokenstream.testing import Recording, Request, Script, Server, faults

_PIECES = ("The ", "sea ", "is ", "salt", "y.")
TEXT = "".join(_PIECES)
_WHOLE = testing.script().text(*_PIECES).usage(input_tokens=11, output_tokens=7).finish()
_TEXT = testing.script().text(*_PIECES[:3])
# What comes last may be lost with the connection, and nothing else must be.
_LATE = testing.script(rate=20).text(*_PIECES)
_CALL = testing.script().text("I look.").tool_call("get_weather", ('{"ci', 'ty": "Os'))
_LONG = testing.script(rate=4).text(*_PIECES * 10).finish()
_REFUSALS = {
    429: "Rate limit reached.",
    500: "The server had an error.",
    401: "Incorrect API key provided: x.",
}


def _send(script: Script, *found: faults.Fault) -> Callable[[str], Recording]:
    return lambda format: script.recording(format).with_fault(found)


ANSWERS = {
    "whole": _send(_WHOLE),
    "cut": _send(_TEXT),
    "reset": _send(_LATE, faults.reset(at=1.0)),
    "error": _send(_TEXT.error("Overloaded")),
    "half-call": _send(_CALL),
    **{f"{code}": _send(_WHOLE, faults.status(code, message=words)) for code, words in _REFUSALS.items()},
    "silence": _send(_TEXT, faults.stall(at=1.0)),
    "left": _send(_LONG),
}
"""What is sent in a format, by the name of the case; in the last one, the client leaves."""
_CASE = re.compile(f"case-({'|'.join(ANSWERS)})".encode())


def serve() -> Server:
    """Return the provider, which speaks each API at its usual path."""
    return testing.serve(_answer, pace="recorded")


def _answer(request: Request) -> Recording:
    asked = _CASE.findall(request.body)
    if not asked:
        # Some ask for the list of models as they start.
        return Recording.of([b"{}"], headers={"content-type": "application/json"})
    # An agent that has half a call asks again.
    name = "whole" if b'"call_1"' in request.body else asked[-1].decode()
    return ANSWERS[name](format_of_path(request.route) or "")
