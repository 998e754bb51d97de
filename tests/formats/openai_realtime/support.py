"""Events of a spoken answer."""

from __future__ import annotations

from tests.formats.openai_realtime.payloads import added, created, finished, part, part_done, text

HELLO = [
    created(),
    added(),
    part(),
    text("Hel"),
    text("lo"),
    part_done(text="Hello"),
    finished(content=[{"type": "output_text", "text": "Hello"}]),
]
