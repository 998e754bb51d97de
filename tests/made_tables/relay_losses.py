"""The table in docs/reports/losses.md of what protocols cannot express.

It is what `relay.losses` finds by trying the encoders.
"""

from __future__ import annotations

from tests.made_tables.section import Section, table
from tests.project import ROOT
from tests.support.encoders import PROTOCOLS
from tokenstream import relay
from tokenstream.relay import ProtocolName
from tokenstream.relay._encoders.losses import Loss

_FIELDS: tuple[Loss, ...] = (
    "signature",
    "encrypted_reasoning",
    "tool_call_end",
    "citation_text",
    "citation_span",
    "media_url",
    "transcript",
    "phase",
    "characters",
)
_COUNTED: tuple[Loss, ...] = ("usage",)
_ENDINGS: tuple[Loss, ...] = ("finish_reason", "stopped")
_COLUMNS = ("protocol", "parts and events", "fields", "`usage`", "endings")


def _named(kind: Loss, details: tuple[str, ...]) -> str:
    """Return a loss with its details; those of fields and of reasons are names."""
    if not details:
        return f"`{kind}`"
    if kind in (*_COUNTED, *_ENDINGS):
        parted = [each.partition(" ") for each in details]
        listed = ", ".join(f"`{name}`{space}{rest}" for name, space, rest in parted)
        return listed if kind in _COUNTED else f"`{kind}`: {listed}"
    return f"`{kind}` ({', '.join(details)})"


def _row(protocol: ProtocolName) -> str:
    lost = relay.losses(protocol)
    parts = tuple(kind for kind in lost if kind not in (*_FIELDS, *_COUNTED, *_ENDINGS))
    cells = [
        "; ".join(_named(kind, lost[kind]) for kind in kinds if kind in lost) or "–"
        for kinds in (parts, _FIELDS, _COUNTED, _ENDINGS)
    ]
    return f"| `{protocol}` | {' | '.join(cells)} |"


def _made() -> list[str]:
    return [table(_COLUMNS, map(_row, PROTOCOLS))]


SECTION = Section(ROOT / "docs" / "reports" / "losses.md", "tests.made_tables.relay_losses", _made)

if __name__ == "__main__":
    SECTION.write()
