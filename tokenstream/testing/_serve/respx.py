"""The function `respx_side_effect`, which plays recordings and scripts at the routes of respx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.testing._serve.transport import transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.relay._encoders import ProtocolName
    from tokenstream.testing._recordings.replay import Chunking, Pace
    from tokenstream.testing._serve.playable import Playable
    from tokenstream.testing._serve.transport import Transport
    from tokenstream.testing.faults import Fault


def respx_side_effect(
    what: Playable,
    *,
    format: ProtocolName | str | None = None,
    pace: Pace = "instant",
    chunking: Chunking = "recorded",
    fault: Fault | Iterable[Fault] | None = None,
    clock: Callable[[], float] | None = None,
) -> Transport:
    """Play recordings and scripts at a route of respx, to sync and async httpx clients.

    respx does not intercept httpx2, which current SDKs use: pass these SDKs
    `testing.transport(…)` or the address of `testing.serve(…)`.

    Args:
        what: As for `testing.transport`.
        format: As for `testing.transport`.
        pace: As for `testing.transport`.
        chunking: As for `testing.transport`.
        fault: As for `testing.transport`; None for no fault.
        clock: As for `testing.transport`.

    Raises:
        MisuseError: `what` cannot be played.

    Example:
        >>> import httpx, respx
        >>> from tokenstream import testing
        >>> hello = testing.script().text("Hello").finish("stop")
        >>> with respx.mock:
        ...     route = respx.post("https://api.example.com/v1/chat/completions")
        ...     _ = route.mock(side_effect=testing.respx_side_effect(hello))
        ...     response = httpx.post("https://api.example.com/v1/chat/completions", json={})
        >>> response.content == b"".join(hello.chunks("openai-chat"))
        True
    """
    return transport(what, format=format, pace=pace, chunking=chunking, fault=fault, clock=clock)
