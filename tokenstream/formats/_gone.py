"""Services that were switched off, which are not read: the errors say what to use in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.untrusted import is_dict, text_of

if TYPE_CHECKING:
    from collections.abc import Callable


class GoneService(NamedTuple):
    """A service that was switched off."""

    title: str
    """The words for one of its streams, and for the day on which it ended."""
    advice: str
    """The service to use in its place."""
    sends: Callable[[dict[str, Any], str], bool]
    """The function that recognises a payload of it, from the payload and the name of its event."""


def _is_of_assistants(payload: dict[str, Any], event: str) -> bool:
    # The SDK's objects hold the event's name beside the payload.
    inner = payload.get("data")
    if is_dict(inner) and not event:
        payload, event = inner, text_of(payload, "event") or ""
    names = [text_of(payload, "object") or ""]
    # Another API has events of these names, whose payloads have a type.
    if "type" not in payload:
        names.append(event)
    return any(name.startswith(("thread.run", "thread.message")) for name in names)


GONE_SERVICES = {
    "openai-assistants": GoneService(
        "a run of OpenAI's Assistants API, which was switched off on 2026-08-26",
        'use the Responses API, format="openai-responses"',
        _is_of_assistants,
    )
}
"""Maps the names that their formats had to the services."""
