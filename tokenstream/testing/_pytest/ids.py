"""Names of parametrised recordings, scripts and faults in pytest's test ids."""

from __future__ import annotations

from tokenstream.testing._recordings.recording import Recording
from tokenstream.testing._recordings.replay import Seed
from tokenstream.testing._scripts.script import Script
from tokenstream.testing.faults import Fault


def id_of(value: object) -> str | None:
    """Return a test id for a recording, a fault, a seed or a script; None for any other value.

    Example:
        >>> from tokenstream import testing
        >>> id_of(testing.script().text("Hello").tool_call("now").finish())
        'text+tool_call'
    """
    if isinstance(value, Recording | Fault):
        return value.name
    if isinstance(value, Seed):
        return f"seed{value.number}"
    if isinstance(value, Script):
        kinds = [part.kind for message in value.messages for part in message.parts]
        return "+".join(dict.fromkeys(kinds)) or "silence"
    return None
