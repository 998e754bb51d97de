"""Clients of httpx and httpx2, of which every answer is recorded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tokenstream.testing._record_bodies import note_httpx
from tokenstream.testing._record_notes import Notes

if TYPE_CHECKING:
    from tokenstream.testing._record_notes import Terms

__all__ = ["is_client", "note_answers", "refuse_earlier"]

_NAMES = ("build_request", "event_hooks", "send")


def is_client(source: object) -> bool:
    """Tell whether something is a client of httpx or httpx2."""
    return isinstance(getattr(source, "event_hooks", None), dict) and all(
        hasattr(source, name) for name in _NAMES
    )


def refuse_earlier(terms: Terms) -> None:
    """Let a client's recordings begin where there are none of an earlier time.

    Raises:
        FileExistsError: There are some.
    """
    any_number = re.escape(terms.place("\0").name).replace("\0", "[0-9]+")
    own = re.compile(rf"{re.escape(terms.place(1).name)}|{any_number}")
    folder = terms.path.parent
    found = sorted(path for path in folder.iterdir() if own.fullmatch(path.name)) if folder.is_dir() else []
    if found:
        raise FileExistsError(f"there is a file {found[0]} already: pass overwrite=True to replace it")


def note_answers(client: Any, terms: Terms) -> None:  # noqa: ANN401 - of httpx or httpx2
    """Have every answer that a client gets recorded, from its request on.

    Args:
        client: The client, synchronous or not; its hooks are put before those that it has.
        terms: What was asked for.
    """
    hooks = _Hooks(terms)
    asked, answered = (
        (hooks.asked_async, hooks.answered_async)
        if hasattr(client, "aclose")
        else (hooks.asked, hooks.answered)
    )
    own = client.event_hooks
    client.event_hooks = {
        **own,
        "request": [asked, *own.get("request", ())],
        "response": [answered, *own.get("response", ())],
    }


class _Hooks:
    """What a client calls for each request and for the head of each answer."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._began: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        """When requests went out."""

    def asked(self, request: Any) -> None:  # noqa: ANN401 - httpx's or httpx2's
        self._began[request] = self._terms.clock()

    def answered(self, response: Any) -> None:  # noqa: ANN401 - httpx's or httpx2's
        note_httpx(response, Notes(self._terms, began=self._began.get(response.request), bare=False))

    async def asked_async(self, request: Any) -> None:  # noqa: ANN401 - httpx's or httpx2's
        self.asked(request)

    async def answered_async(self, response: Any) -> None:  # noqa: ANN401 - httpx's or httpx2's
        self.answered(response)
