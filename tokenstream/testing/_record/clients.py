"""Recording of every answer that an httpx or httpx2 client receives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tokenstream.testing._record.bodies import note_httpx
from tokenstream.testing._record.notes import Notes

if TYPE_CHECKING:
    from tokenstream._basics.loose import FromHTTPX
    from tokenstream.testing._record.notes import Terms

_CLIENT_MEMBERS = ("build_request", "event_hooks", "send")


def is_client(source: object) -> bool:
    """Return True for an httpx or httpx2 client, sync or async."""
    return isinstance(getattr(source, "event_hooks", None), dict) and all(
        hasattr(source, name) for name in _CLIENT_MEMBERS
    )


def refuse_earlier(terms: Terms) -> None:
    """Raise if the folder contains files with the names that this client's recordings will have.

    Raises:
        FileExistsError: The folder contains at least one of these files.
    """
    # The first file may have no number. In the pattern of the others, a character that no file name
    # contains stands for the number.
    any_number = re.escape(terms.path_of("\0").name).replace("\0", "[0-9]+")
    own_name = re.compile(rf"{re.escape(terms.path_of(1).name)}|{any_number}")
    folder = terms.path.parent
    earlier = (
        sorted(path for path in folder.iterdir() if own_name.fullmatch(path.name)) if folder.is_dir() else []
    )
    if earlier:
        raise FileExistsError(f"there is a file {earlier[0]} already: pass overwrite=True to replace it")


def note_answers(client: FromHTTPX, terms: Terms) -> None:
    """Record every answer that a client receives, timed from its request.

    Args:
        client: A sync or async client; the hooks that are added run before the client's own hooks.
    """
    hooks = _Hooks(terms)
    note_request, note_response = (
        (hooks.note_request_async, hooks.note_response_async)
        if hasattr(client, "aclose")
        else (hooks.note_request, hooks.note_response)
    )
    own_hooks = client.event_hooks
    client.event_hooks = {
        **own_hooks,
        "request": [note_request, *own_hooks.get("request", ())],
        "response": [note_response, *own_hooks.get("response", ())],
    }


class _Hooks:
    """Event hooks that record all answers of an httpx client.

    The client calls one hook before each request, and another when the head of a response has arrived.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._started_at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        """Time at which each request was sent."""

    def note_request(self, request: object) -> None:
        """Store the time of a request, from which the times in the recording of its response are counted."""
        self._started_at[request] = self._terms.clock()

    def note_response(self, response: FromHTTPX) -> None:
        """Begin to record a response, whose body is read later; nothing is written if the body is empty."""
        note_httpx(
            response, Notes(self._terms, started_at=self._started_at.get(response.request), keep_empty=False)
        )

    async def note_request_async(self, request: object) -> None:
        """Do the same as `note_request`, for a client that awaits its hooks."""
        self.note_request(request)

    async def note_response_async(self, response: object) -> None:
        """Do the same as `note_response`, for a client that awaits its hooks."""
        self.note_response(response)
