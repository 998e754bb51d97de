"""The reader that docs/reference/protocol.md shows is short, and reads what a relay sends over a cut."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

from tests.docs.pages import blocks
from tests.project import ROOT
from tests.support.node import any_node
from tokenstream import relay, testing

_MOST_LINES = 36
_FETCH = """
const asked = [];
globalThis.setTimeout = (act) => queueMicrotask(act);
globalThis.fetch = async (url, { headers }) => {
  asked.push(headers["Last-Event-ID"] ?? null);
  const body = bodies.shift();
  const chunks = new ReadableStream({
    async pull(controller) {
      if (body.pieces.length) controller.enqueue(Buffer.from(body.pieces.shift(), "base64"));
      else if (body.breaks) controller.error(new TypeError("network error"));
      else controller.close();
    },
  });
  return new Response(chunks);
};
"""


def _js() -> list[str]:
    page = (ROOT / "docs" / "reference" / "protocol.md").read_text(encoding="utf-8")
    return [block.code for block in blocks(page, "js")]


def test_the_reader_is_short() -> None:
    """Whoever wants no library writes no more."""
    assert len(_js()[0].splitlines()) <= _MOST_LINES


@pytest.mark.slow
def test_the_reader_reads_on_over_cuts() -> None:
    """Text, in pieces of any size, comes once, whether a connection ends or breaks; an error is told.

    A line separator in it, which ends a line for a regular expression, ends none for the protocol.
    """
    _, node = any_node()
    said = testing.script().text("Grüße ", "🌊 ", "and\u2028id: 9").finish("stop")
    frames = list(relay.encode(said.stream("openai-chat"), ids=True))
    parts = [b"".join(frames[:4]) + frames[4][:9], b": keep-alive\n\n" + b"".join(frames[4:6])]
    parts.append(b'data: {"type":"live","at":7}\n\n' + b"".join(frames[6:]))
    bodies = [
        {
            "pieces": [base64.b64encode(part[at : at + 7]).decode() for at in range(0, len(part), 7)],
            "breaks": number == 1,
        }
        for number, part in enumerate(parts)
    ]
    reader, usage = _js()
    program = (
        f"const bodies = {json.dumps(bodies)};\n{_FETCH}\n{reader.replace('export ', '')}\n{usage}\n"
        "console.log(JSON.stringify({ text, asked }));"
    )
    told = subprocess.run(
        [node, "--input-type=module", "--eval", program], capture_output=True, encoding="utf-8", check=True
    ).stdout

    assert {"text": "Grüße 🌊 and\u2028id: 9", "asked": [None, "4", "6"]} == json.loads(told)
