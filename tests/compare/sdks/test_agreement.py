"""The providers' own SDKs, reading the same bytes, agree with us on what follows their documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.compare.sdks.relay.judges.python_sdks import read_in_python
from tests.compare.sdks.relay.judges.said import differences
from tests.support.reading import read
from tests.support.recordings import Recorded, of_the_demo, ours

if TYPE_CHECKING:
    from tokenstream.relay import ProtocolName

_SDKS: dict[ProtocolName, str] = {"openai-chat": "openai of Python, chat", "anthropic": "anthropic of Python"}


def _uncut() -> list[Recorded]:
    """Return our recordings and the demo's, without what was cut on purpose."""
    found = ours()
    for path in of_the_demo():
        body = path.read_bytes()
        reading = read([body])
        if reading.error is None and reading.format is not None:
            found.append(Recorded(f"demo/{path.stem}", reading.format, body, {}))
    return found


@pytest.mark.parametrize(("format", "sdk"), _SDKS.items())
def test_an_sdk_says_of_a_recording_what_our_message_says(format: ProtocolName, sdk: str) -> None:
    """Text, reasoning, calls, citations, usage and the reason of the end, of each choice and in its order."""
    bodies = {each.name: each.body for each in _uncut() if each.format == format}
    given = read_in_python(sdk, {name: (format, body) for name, body in bodies.items()})

    found: dict[str, Any] = {
        name: differences(read([body]).messages, format, given[name]) for name, body in bodies.items()
    }
    assert {} == {name: differs for name, differs in found.items() if differs}
