"""A mapping of a simple server."""

from __future__ import annotations

from typing import Any

from tokenstream.formats import custom

HI = [{"result": {"delta": "Hel"}}, {"result": {"delta": "lo"}}]
STOP = {"result": {"stop": "done"}}


def simple(**options: Any) -> Any:
    all_options: dict[str, Any] = {"text": "result.delta", "finish": "result.stop", **options}
    return custom(**all_options)
