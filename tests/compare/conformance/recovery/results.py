"""The results that are kept: what came of each case with each peer, at which version, on which day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from tests.compare.conformance.recovery.cases import CASES, Case, digest
from tests.compare.conformance.recovery.peer import Peer, judge
from tests.compare.conformance.recovery.providers import playing

FILE = Path(__file__).with_name("results.json")


def cases_of(peer: Peer) -> list[Case]:
    """Return the cases that a peer is run on: those with two providers only if it can ask the other one."""
    return [case for case in CASES if peer.falls_back or case.scenario == "once"]


def cell_of(peer: Peer, case: Case) -> dict[str, Any]:
    with playing(case) as world:
        told = peer.told(world)
    return {"came": judge(case.answer, told), "error": told.error, "requests": " ".join(world.requests)}


def results_of(peer: Peer) -> dict[str, Any]:
    """Run a peer, which is installed, on all of its cases."""
    cells: dict[str, dict[str, Any]] = {}
    for case in cases_of(peer):
        cells.setdefault(case.scenario, {})[case.fault.name] = cell_of(peer, case)
    return {
        "versions": peer.versions(),
        "runtime": peer.runtime(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "how": peer.how,
        "cases": digest(),
        "cells": cells,
    }
