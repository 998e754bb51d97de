"""A model on loopback that calls tools until it knows what it was asked, in three providers' formats."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.replies import at_once
from tokenstream import testing
from tokenstream.testing import Recording, Request

AGENT = "/agent"
"""Where the model is asked; what follows in the path is the provider's own."""
_CUT = "/cut"
"""Follows `AGENT` where the first answer breaks off in its second call."""
_FORMATS = {"completions": "openai-chat", "messages": "anthropic", "streamGenerateContent": "gemini"}
_CITIES = ("Atlantis", "Oslo", "Rome")


def agent_reply(request: Request) -> Recording:
    """Return the model's next turn: calls for the cities that it knows nothing of, or its answer.

    A question with the word "forever" is never answered.
    """
    format = _FORMATS[re.split(r"[/:]", request.route)[-1]]
    question, *turns = request.json.get("messages") or request.json["contents"]
    forever = "forever" in json.dumps(question)
    asked = _cities_in(question)
    wanted = [city for city in asked if forever or city not in _cities_in(turns)]
    script = testing.script(id="docs", model="example-model")
    if wanted:
        script = script.text("Let me look. ")
        for city in wanted:
            script = script.tool_call("get_weather", {"city": city})
        chunks = script.finish("tool_calls").chunks(format)
    else:
        chunks = script.text("It is warmest ", f"in {asked[-1]}.").finish("stop").chunks(format)
    cut = request.route.startswith(AGENT + _CUT) and not turns
    return at_once(chunks[:-4] if cut else chunks)


def _cities_in(turns: Any) -> list[str]:
    text = json.dumps(turns)
    return [city for city in _CITIES if city in text]
