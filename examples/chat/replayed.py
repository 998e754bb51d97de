"""A simulated provider that needs no key: scripted answers in a provider's bytes, at a model's pace."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

import httpx

from tokenstream import testing
from tokenstream.testing import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.testing import Recording, Request, Script

PACE = float(os.environ.get("CHAT_PACE", "0.03"))
"""Seconds between two pieces."""
LONG = """\
## How water goes around a stone

A river does **not** mind a stone. It *parts*, goes around, and is one river again: see
[the vortex street](https://en.wikipedia.org/wiki/K%C3%A1rm%C3%A1n_vortex_street).

1. Upstream the water slows down and piles up.
2. On both sides it is faster, by `width / (width - stone)`.
3. Behind the stone it turns back: an eddy, where fish rest.

| where | speed | depth |
|---|---|---|
| before | 0.8 m/s | 1.2 m |
| beside | 1.4 m/s | 1.1 m |
| behind | -0.1 m/s | 1.4 m |

```python
def beside(speed: float, width: float, stone: float) -> float:
    \"\"\"Return how fast the water is that passes a stone.\"\"\"
    return speed * width / (width - stone)
```

> What is soft is strong: water wears the stone away, given 10,000 years: stone → gravel → sand.

A model may write <b onclick="alert(1)">HTML</b>, ![a picture](https://example.com/spy.png) or
[a link](javascript:alert(1)): here they are text, and nothing is loaded.
"""
RECIPE = """\
{"name": "Crêpes with lemon", "serves": 4,
 "ingredients": [{"name": "flour", "amount": "250 g"}, {"name": "milk", "amount": "½ l"},
  {"name": "eggs", "amount": "3"}, {"name": "lemon", "amount": null}],
 "steps": [{"title": "Whisk the batter", "minutes": 5, "text": "Flour first, then the eggs, the milk last."},
  {"title": "Let it rest", "minutes": 30, "text": "Cover it; the flour swells."},
  {"title": "Bake", "minutes": 15, "text": "Thinly, in a hot pan, a minute on each side."}],
 "tip": "The first one is for the cook."}"""
BRIDGE = "A bridge is a road that has met a river. It stands on two banks, and hopes that both stay there. "

_SCRIPT = testing.script()
_WHOLE = _SCRIPT.text(BRIDGE * 3).finish("stop")
_BREAKS = _WHOLE.recording("openai-chat").with_fault(faults.cut(at=0.4))
_BRIDGES: Iterator[Recording | Script] = itertools.cycle([_BREAKS, _WHOLE])
_LONG = _SCRIPT.reasoning("They ask about flow. An image helps, and a table.").text(
    LONG
)
_REMARK = {"content": "Let me look it up.", "channel": "commentary"}
_WEATHER = (
    _SCRIPT.reasoning("The weather is the tool's to say.")
    .raw(
        {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": _REMARK}]}
    )
    .tool_call(
        "get_weather",
        {"city": "Oslo", "unit": "celsius", "days": ["today", "tomorrow"]},
    )
)


def answer(request: Request) -> Recording | Script:
    """Choose the answer by keywords in the last turn."""
    question = str(request.json["messages"][-1]["content"]).lower()
    if "recipe" in question:
        return _SCRIPT.text(RECIPE).finish("stop")
    if "weather" in question:
        return _WEATHER.finish("tool_calls")
    if "break" in question:
        return next(_BRIDGES)
    return _LONG.usage(input_tokens=12, output_tokens=310).finish("stop")


def client() -> httpx.AsyncClient:
    """Return a client whose requests are answered here, without a network."""
    played = testing.transport(
        answer, fault=faults.slow(PACE), pace="recorded", clock=time.monotonic
    )
    return httpx.AsyncClient(transport=played)
