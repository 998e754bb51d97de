"""The APIs that a session speaks, found by the name of their format or by a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.formats._registry import format_of_path
from tokenstream.session._live import LiveAPI
from tokenstream.session._realtime import RealtimeAPI
from tokenstream.session._responses import ResponsesAPI

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.session._api import SessionAPI

APIS: dict[str, type[SessionAPI]] = {api.format: api for api in (ResponsesAPI, RealtimeAPI, LiveAPI)}


def make_api(
    format: str,
    model: str | None,
    tools: Any,  # noqa: ANN401 - tools, a router or a list, checked by the session
    settings: Mapping[str, Any],
) -> SessionAPI:
    """Return the state of a conversation with an API, whose model may be named by the URL instead.

    Tools are a list in the form of the API, or an object with a method that writes it.
    """
    kind = APIS.get(format)
    if kind is None:
        raise MisuseError(f"a session speaks {', '.join(sorted(APIS))}, and not {format!r}")
    is_written: bool = tools is None or tools.__class__ is list
    return kind(model, tools if is_written else kind.write_tools(tools), settings)


def find_format(path: str | None) -> str:
    format = None if path is None else format_of_path(path.partition("?")[0])
    if format not in APIS:
        raise MisuseError(
            f"the connection's URL does not tell the API: give format=, one of {', '.join(sorted(APIS))}"
        )
    return format
