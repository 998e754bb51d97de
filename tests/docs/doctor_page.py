"""The table in docs/guides/doctor.md of proxies and platforms: `python -m tests.docs.doctor_page`."""

from __future__ import annotations

from tests.made_tables.section import Section
from tests.project import ROOT
from tokenstream.cli._doctor.hops import HOPS, Hop

PAGE = ROOT / "docs" / "guides" / "doctor.md"
_ABSENT = "–"
_PING = "send a comment or a ping every 10 seconds"
"""The advice that most rows give: the page explains it once."""


def _row(hop: Hop) -> str:
    limits = [
        f"{limit.seconds:g} s ({limit.on}): {limit.change.replace(_PING, 'ping').partition(', because')[0]}"
        for limit in hop.limits
    ]
    settings = "; ".join(setting for setting in (hop.unbuffer, hop.uncompress) if setting)
    cells = [f"[{hop.name}]({hop.source})", settings, "; ".join(limits)]
    return f"| {' | '.join(cell or _ABSENT for cell in cells)} |"


def _made() -> list[str]:
    columns = ["hop", "setting that lets events through", "cuts off after"]
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return ["\n".join([*head, *(_row(hop) for hop in HOPS if hop.unbuffer or hop.uncompress or hop.limits)])]


SECTION = Section(PAGE, "tests.docs.doctor_page", _made)

if __name__ == "__main__":
    SECTION.write()
