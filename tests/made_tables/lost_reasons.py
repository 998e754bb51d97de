"""The table of finish reasons in docs/reports/losses.md.

It is what the encoders say of themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from tests.made_tables.section import Section, table
from tests.project import ROOT
from tests.support.encoders import PROTOCOLS, Encoder, create
from tokenstream.message import FinishReason

_REFUSED: tuple[FinishReason, ...] = ("content_filter", "refusal")
"""The reasons that must not look like success."""
_COLUMNS = ("protocol", *(f"`{reason}` is sent as" for reason in _REFUSED), "look like an ordinary end")


def is_lost(encoder: Encoder, reason: FinishReason) -> bool:
    """Return whether a reason is sent as an ordinary end."""
    return reason not in encoder.words and encoder.choose_reason(reason) == "stop"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


def _row(protocol: str) -> str:
    encoder = create(protocol, lossy=True)
    lost = [reason for reason in get_args(FinishReason) if is_lost(encoder, reason)]
    refused = ["–" if reason in lost else f"`{encoder.word_for(reason)}`" for reason in _REFUSED]
    return f"| `{protocol}` | {' | '.join([*refused, _listed(lost)])} |"


def _made() -> list[str]:
    return [table(_COLUMNS, map(_row, PROTOCOLS))]


SECTION = Section(ROOT / "docs" / "reports" / "losses.md", "tests.made_tables.lost_reasons", _made)

if __name__ == "__main__":
    SECTION.write()
