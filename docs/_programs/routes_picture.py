"""Draw the attempts of an answer that two providers have written: writes routes.svg in docs/pictures.

    python docs/_programs/routes_picture.py

What it shows is what a stream has given: an answer that breaks off, a connection that fails, and another
provider's continuation.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import httpx

from tokenstream import Retry, Route, connect, testing
from tokenstream.events import Resumed, TextDelta
from tokenstream.recovery import AttemptReport

PICTURE = Path(__file__).parents[1] / "pictures" / "routes.svg"
_TEXT = "A river does not mind a stone. It parts, goes around, and is one river again."
_CUT, _REPEATED = 43, 40
_STYLE: str = runpy.run_path(str(Path(__file__).with_name("colours.py")))["in_both"](
    "text{font-family:ui-monospace,monospace;font-size:14px;fill:#1f2937;white-space:pre}"
    ".told{font-family:system-ui,sans-serif;font-size:12px;fill:#4b5563}"
    ".given{fill:#dbeafe}.new{fill:#dcfce7}.failed{fill:#fee2e2}svg{background:#fff}"
)


def played() -> tuple[str, str, tuple[AttemptReport, ...]]:
    """Return the text of the first provider, that of the second, and the reports on the attempts."""
    cut = b"".join(testing.script().text(_TEXT[:_CUT]).chunks("openai-chat"))
    bodies = [cut]

    def answer(request: httpx.Request) -> httpx.Response:
        if not bodies:
            raise httpx.ConnectError("no connection", request=request)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=bodies.pop())

    rest = testing.script().text(_TEXT[_CUT - _REPEATED : _CUT], _TEXT[_CUT:]).finish()
    chat = Route(
        "https://chat.test/v1/chat/completions",
        json={"messages": []},
        client=httpx.Client(transport=httpx.MockTransport(answer)),
        name="chat",
    )
    claude = Route(
        "https://claude.test/v1/messages",
        json={"messages": []},
        client=httpx.Client(transport=testing.transport(rest)),
        name="claude",
    )
    before: list[str] = []
    behind: list[str] = []
    with connect(chat, retry=Retry(attempts=2, routes=[claude], wait=0)) as stream:
        for event in stream:
            if isinstance(event, Resumed):
                before, behind = behind, []
            elif isinstance(event, TextDelta):
                behind.append(event.text)
    return "".join(before), "".join(behind), stream.attempts


def draw() -> str:
    """Return the picture."""
    given, new, reports = played()
    rows: list[tuple[str, int, list[tuple[str, str]]]] = []
    for report in reports:
        ended = "complete" if report.error is None else type(report.error).__name__
        told = f"attempt {report.number}, route {report.route}, {report.mode}: {ended}"
        if report.error is None:
            rows.append((told, len(given), [("new", new)]))
        elif report.mode == "start":
            rows.append((told, 0, [("given", given)]))
        else:
            rows.append((told, len(given), [("failed", "×")]))
    rows.append(("the loop over text", 0, [("given", given), ("new", new)]))
    seam = runpy.run_path(str(Path(__file__).with_name("seam_picture.py")))
    drawn: list[str] = seam["draw_rows"](rows, letters=len(given) + len(new), style=_STYLE)
    return "\n".join([*drawn, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
