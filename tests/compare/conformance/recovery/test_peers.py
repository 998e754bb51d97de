"""The published comparison of recovery is what was measured: the page, the results, and a fresh run."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.compare.conformance.packages import need_versions
from tests.compare.conformance.recovery import page, results
from tests.compare.conformance.recovery.by_node import node_peers
from tests.compare.conformance.recovery.by_us import US, tell
from tests.compare.conformance.recovery.cases import ANSWERS, ARGUMENTS, CALL, CASES, TRUTH, Case, digest
from tests.compare.conformance.recovery.peer import PythonPeer, Told, judge
from tests.compare.conformance.recovery.peers import peers
from tests.compare.conformance.recovery.providers import REMOVED, reply_to
from tests.compare.conformance.results import load
from tests.support.node import node_with
from tests.support.tables import in_one_test

_KEPT = load(results.FILE)
_PEERS = {peer.name: peer for peer in peers()}
_ID = "{0.scenario}, {0.fault.name}".format
_WHOLE_CALL = (CALL, ARGUMENTS)


# -- what is published --------------------------------------------------------------


def test_the_tables_say_what_the_results_say() -> None:
    """`python -m tests.compare.conformance --recovery` writes them into docs/reports/recovery.md."""
    assert page.SECTION.render() == page.SECTION.on_the_page()


def test_every_peer_has_results_of_the_cases_of_today_and_no_other_has() -> None:
    """After a change of a case, all peers have to be run again."""
    assert list(_PEERS) == list(_KEPT)
    assert {digest()} == {kept["cases"] for kept in _KEPT.values()}


@pytest.mark.parametrize("name", _PEERS)
def test_a_peer_is_claimed_only_at_a_version_with_results(name: str) -> None:
    peer, kept = _PEERS[name], _KEPT[name]
    cells = [(scenario, fault) for scenario, faults in kept["cells"].items() for fault in faults]

    assert (peer.packages, peer.how) == (tuple(kept["versions"]), kept["how"])
    assert all(kept["versions"].values())
    assert [(case.scenario, case.fault.name) for case in results.cases_of(peer)] == cells


# -- fresh runs -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours() -> dict[Case, dict[str, Any]]:
    """Run this library on all cases at a time: most of them wait."""
    with ThreadPoolExecutor(len(CASES)) as threads:
        return dict(zip(CASES, threads.map(lambda case: results.cell_of(US, case), CASES), strict=True))


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("case", CASES, ids=_ID)
def test_our_results_are_those_of_a_fresh_run(case: Case, ours: dict[Case, dict[str, Any]]) -> None:
    """The answer is exact, also where a call is cut behind a text that was shown."""
    kept = _KEPT[US.name]["cells"][case.scenario][case.fault.name]

    assert ["exact", "exact"] == [kept["came"], ours[case]["came"]]


@pytest.mark.parametrize("case", [case for case in CASES if case.answer.calls], ids=_ID)
def test_an_answer_with_a_cut_call_is_restarted_where_it_may_be(case: Case) -> None:
    """With `again=True`, what cannot be continued is requested again, and what was shown is skipped."""
    restarting = dataclasses.replace(US, tell=lambda world, told: tell(world, told, again=True))

    assert "exact" == results.cell_of(restarting, case)["came"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in _PEERS if name != US.name])
def test_a_peer_does_what_the_page_says_of_it(name: str) -> None:
    """A fresh run gives the same, if its packages are installed at the published versions."""
    peer = _PEERS[name]
    if not isinstance(peer, PythonPeer):
        folder, _ = node_with(*peer.packages)
        (peer,) = node_peers(folder)
    need_versions(peer, _KEPT[name])
    if not isinstance(peer, PythonPeer) and peer.runtime() != (runtime := _KEPT[name]["runtime"]):
        pytest.skip(f"needs {runtime}: another release of Node may report a reset as a clean end")
    fresh = results.results_of(peer)["cells"]

    assert _came(_KEPT[name]["cells"]) == _came(fresh)


def _came(cells: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        scenario: {fault: cell["came"] for fault, cell in faults.items()}
        for scenario, faults in cells.items()
    }


# -- the verdicts -----------------------------------------------------------------------


@in_one_test(
    "told, came",
    [
        (Told(TRUTH), "exact"),
        (Told(TRUTH[:50]), "lost in silence"),
        (Told(TRUTH[:50], error="E"), f"error, 50 of {len(TRUTH)} characters kept"),
        (Told(error="E"), "error, nothing kept"),
        (Told(TRUTH[:50] + TRUTH), "doubled text"),
        (Told(TRUTH[:50] + TRUTH[:60], error="E"), "doubled text, then an error"),
        (Told("Something else."), "wrong text"),
    ],
)
def test_a_text_is_judged_by_what_was_shown(told: Told, came: str) -> None:
    assert came == judge(ANSWERS["text"], told)


@pytest.mark.parametrize(
    "told, came",
    [
        (Told(calls=[_WHOLE_CALL]), "exact"),
        (Told("Done.", [_WHOLE_CALL]), "exact"),
        (Told(calls=[(CALL, {"path": "/srv/ca"})]), "half call run"),
        (Told(calls=[_WHOLE_CALL, _WHOLE_CALL]), "call run twice"),
        (Told(), "lost in silence"),
        (Told(error="E"), "error, nothing kept"),
    ],
)
def test_a_call_is_judged_by_what_was_run(told: Told, came: str) -> None:
    assert came == judge(ANSWERS["call"], told)


# -- the providers ------------------------------------------------------------------------


def _asked(*turns: tuple[str, str], answer: str = "text") -> Any:
    question = {"role": "user", "content": ANSWERS[answer].question}
    return {"messages": [question, *({"role": role, "content": content} for role, content in turns)]}


def test_a_model_goes_on_as_the_request_asks() -> None:
    begun, quoted = TRUTH[:100], TRUTH[80:100]
    extended = reply_to(_asked(("assistant", begun)))
    asked = reply_to(_asked(("assistant", begun), ("user", "Go on.")))
    quoting = reply_to(_asked(("assistant", begun), ("user", f"Go on behind <{quoted}>")))

    assert [TRUTH, TRUTH[100:], TRUTH[100:], TRUTH[80:]] == [
        reply_to(_asked()).text,
        extended.text,
        asked.text,
        quoting.text,
    ]


def test_a_model_sends_a_call_again_that_was_wrong() -> None:
    wrong = reply_to(_asked(("assistant", ""), ("tool", "The arguments are no JSON"), answer="call"))
    done = reply_to(_asked(("assistant", ""), ("tool", REMOVED), answer="call"))

    assert [("", True), ("Done.", False)] == [(wrong.text, wrong.calls), (done.text, done.calls)]
