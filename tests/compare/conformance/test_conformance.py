"""The published comparison is what was measured: the page, the results that are kept, and a fresh run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.compare.conformance import __main__ as command
from tests.compare.conformance import compatible, cuts, page, results, sse_cases
from tests.compare.conformance.answers import Answer, Call
from tests.compare.conformance.by_node import NodeReader
from tests.compare.conformance.by_us import US
from tests.compare.conformance.case import CompatibleCase
from tests.compare.conformance.compatible import CASES
from tests.compare.conformance.packages import need_versions
from tests.compare.conformance.reader import Attempt, PythonReader
from tests.compare.conformance.readers import readers
from tests.support.beside import needs_cases
from tests.support.effort import in_steps
from tests.support.tables import in_one_test

_KEPT = results.load(results.FILE)
_SOURCE = results.FILE.read_text("utf-8")
_READERS = {reader.name: reader for reader in readers()}
_BY_NAME = {case.name: case for case in CASES}


# -- what is published --------------------------------------------------------------


@pytest.mark.slow
def test_the_page_says_what_the_results_say() -> None:
    """`python -m tests.compare.conformance` writes the page from tests/compare/conformance/results.json."""
    assert page.render(_KEPT) == page.FILE.read_text("utf-8")


def test_every_reader_has_results_and_no_other_has() -> None:
    """A reader that is named in the code was run; one that is gone leaves the page."""
    assert list(_READERS) == list(_KEPT)


@in_one_test("name", _READERS)
def test_a_reader_is_claimed_only_at_a_version_with_results(name: str) -> None:
    reader, kept = _READERS[name], _KEPT[name]
    packages = reader.packages if isinstance(reader, PythonReader | NodeReader) else ()
    formats = [format for format in cuts.ANSWERS if format in reader.formats]

    assert packages == tuple(kept["versions"])
    assert all(kept["versions"].values())
    assert (kept["runtime"].split()[0], reader.how) == (
        "Node" if isinstance(reader, NodeReader) else "Python",
        kept["how"],
    )
    assert bool(reader.sse) == ("sse" in kept)
    assert formats == list(kept.get("cuts", {}))
    assert [case.name for case in compatible.of_formats(reader.formats)] == list(kept.get("compatible", {}))


@pytest.mark.slow
@in_one_test("name", _READERS)
def test_the_results_are_of_the_cases_of_today(name: str) -> None:
    """Who changes a case runs all readers again."""
    today = results.digests()
    kept = {kind: digest for kind, digest in _KEPT[name]["cases"].items() if kind in today}

    assert {kind: today[kind] for kind in kept} == kept
    assert {kind for kind in ("sse", "cuts", "compatible", "json") if kind in _KEPT[name]} == set(
        _KEPT[name]["cases"]
    )


# -- our own results ----------------------------------------------------------------


@needs_cases
def test_our_sse_results_are_those_of_a_fresh_run() -> None:
    assert _KEPT[US.name]["sse"] == results.sse_results(US)


def test_our_compatible_results_are_those_of_a_fresh_run() -> None:
    assert _KEPT[US.name]["compatible"] == results.compatible_results(US)


@pytest.mark.slow
@pytest.mark.parametrize("format", cuts.ANSWERS)
def test_our_cut_results_are_those_of_a_fresh_run(format: str) -> None:
    kept = _KEPT[US.name]["cuts"][format]
    fresh = results.cut_results(US, step=in_steps(7), formats=[format])[format]
    share = {name: count * fresh["cuts"] / kept["cuts"] for name, count in kept.items()}

    assert len(cuts.ANSWERS[format].cuts()) == kept["cuts"]
    assert share == fresh


_PEERS = [
    reader
    for reader in _READERS.values()
    if isinstance(reader, PythonReader) and reader is not US and reader.formats
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", _PEERS, ids=lambda reader: reader.name)
def test_a_peer_does_what_the_page_says_of_it(reader: PythonReader) -> None:
    need_versions(reader, _KEPT[reader.name])

    assert _KEPT[reader.name]["compatible"] == results.compatible_results(reader)


# -- the cases ----------------------------------------------------------------------


@pytest.mark.parametrize("format", cuts.ANSWERS)
def test_an_answer_that_is_not_cut_is_read_whole(format: str) -> None:
    """The answers that are cut mean what the page says that they mean."""
    answer = cuts.ANSWERS[format]
    (said,) = US.answers([(format, answer.body)])

    assert ("Hello", None) == (said.text, said.error)
    assert [("rm", cuts.ARGUMENTS)] == [(call.name, call.arguments) for call in said.calls]


@in_one_test(
    ("said", "counted"),
    [
        (Answer(text="Hello", error="StreamTruncated"), {}),
        (Answer(text="Hello"), {"taken_for_whole": 1}),
        (Answer(text="Hello", finish="stop"), {"taken_for_whole": 1, "finish_made_up": 1}),
        (Answer(text="Hello", calls=[Call("rm", {})], error="Error"), {"wrong_call": 1}),
        (Answer(text="Hello", calls=[Call("rm", cuts.ARGUMENTS)], error="Error"), {}),
        (
            Answer(text="Hello", calls=[Call.of_text("rm", '{"path')]),
            {"taken_for_whole": 1, "unreadable_call": 1},
        ),
        (Answer(text="Hel", error="Error"), {"text_lost": 1}),
    ],
)
def test_what_a_reader_makes_of_a_cut_is_counted(said: Answer, counted: dict[str, int]) -> None:
    answer = cuts.ANSWERS["openai-chat"]
    found = cuts.tally(answer, [answer.cuts()[-1]], [said])

    assert cuts.CutTally(cuts=1, **counted) == found


@in_one_test(
    ("name", "said", "verdict"),
    [
        ("done-missing", Answer(text="Hello"), "right"),
        ("done-missing", Answer(text="Hel"), "text 'Hel'"),
        ("role-repeated", Answer(text="Hello", role="assistantassistant"), "role 'assistantassistant'"),
        ("usage-with-the-finish", Answer(text="Hello", usage=[7, 21]), "right"),
        ("reasoning-in-two-fields", Answer(text="Hello", reasoning="Let me see."), None),
        ("arguments-null", Answer(calls=[Call("weather", {"city": "Oslo"}, "call_1")]), "right"),
        ("arguments-null", Answer(calls=[Call("weather", ["Oslo"])]), "calls None:weather(['Oslo'])"),
        (
            "arguments-null",
            Answer(calls=[Call.of_text("weather", "{")]),
            "a call whose arguments are not JSON",
        ),
        ("claude-input-invalid", Answer(text="Hello", calls=[Call.of_text("weather", "{")]), "right"),
        ("error-in-the-stream", Answer(text="Hel", error="APIError"), "right"),
        ("error-in-the-stream", Answer(text="Hel"), "no error"),
    ],
)
def test_a_reader_is_right_where_it_gives_the_answer_that_is_meant(
    name: str, said: Answer, verdict: str | None
) -> None:
    """What came instead is named; what a reader has no place for is not asked of it."""
    claims = frozenset({"role", "usage"})

    assert verdict == compatible.judge(_BY_NAME[name], said, claims)


@in_one_test("case", CASES, ids=lambda case: case.name)
def test_a_case_is_an_answer_in_its_format(case: CompatibleCase) -> None:
    (said,) = US.answers([(case.format, case.body)])

    assert (case.text, case.fails) == (said.text, said.error is not None)


def test_a_reader_that_is_wrong_only_in_chunks_is_distinguished_from_one_that_is_always_wrong() -> None:
    """The page says at which chunking a case goes wrong; an error is wrong, too."""
    case = sse_cases.SSECase("data_x", b"data: x\n\n", [("message", "x", "")])
    right, wrong = [("message", "x", "")], [("other", "x", "")]

    assert sse_cases.judge(case, [right, right], lambda event: event) is None
    assert "in chunks" == sse_cases.judge(case, [right, wrong], lambda event: event)
    assert "whole" == sse_cases.judge(case, [wrong, right], lambda event: event)
    assert "whole" == sse_cases.judge(case, ["UnicodeDecodeError", right], lambda event: event)
    assert sse_cases.judge(case, [wrong, wrong], lambda event: (event[1],)) is None


# -- the readers ----------------------------------------------------------------------


def _breaking(_: list[bytes]) -> Any:
    msg = "no"
    raise LookupError(msg)


def test_a_reader_that_raises_says_which_error_it_raised() -> None:
    """A peer's exception is a result and not the end of the run; Ctrl-C is the end of the run."""
    reader = PythonReader("x", how="", packages=(), modules=(), events_of=_breaking, sse=("data",))
    case = sse_cases.SSECase("data_x", b"a", [])
    with pytest.raises(KeyboardInterrupt), Attempt():
        raise KeyboardInterrupt

    assert [["LookupError"] * len(case.chunkings())] == reader.events([case])


def test_a_reader_that_is_not_installed_says_so() -> None:
    missing = PythonReader("x", how="", packages=(), modules=("no_such_package",))
    part = PythonReader("x", how="", packages=(), modules=("no_such_package.part",))

    assert (False, False, True) == (missing.installed(), part.installed(), US.installed())


# -- the command ------------------------------------------------------------------------


@pytest.fixture
def kept_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the command keep its results and its page in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOKENSTREAM_NODE", raising=False)
    monkeypatch.setattr(results, "FILE", tmp_path / "results.json")
    monkeypatch.setattr(page, "FILE", tmp_path / "page.md")
    (tmp_path / "results.json").write_text(_SOURCE, "utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("kept_elsewhere")
def test_a_run_renews_the_readers_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["httpx-sse", "eventsource-parser"]
    monkeypatch.setattr(sys, "argv", ["conformance", *(f"--only={name}" for name in asked)])
    command.main()
    renewed = results.load(results.FILE)

    assert list(_KEPT) == list(renewed)
    assert {name: _KEPT[name] for name in _KEPT if name != "httpx-sse"} == {
        name: renewed[name] for name in _KEPT if name != "httpx-sse"
    }
    assert "eventsource-parser: not installed here, its results are kept\n" in capsys.readouterr().out


def test_without_the_sse_cases_their_results_are_kept_for_the_same_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run on a machine without them takes nothing off the page, and claims nothing for another version."""
    reader = next(reader for reader in _READERS.values() if reader.name == "httpx-sse")
    kept = {**_KEPT["httpx-sse"], "versions": reader.versions()}
    monkeypatch.setattr(sse_cases, "cases", list)
    same = results.results_of(reader, kept)
    other = results.results_of(reader, {**kept, "versions": {"httpx-sse": "0.0.1"}})

    assert (kept["sse"], kept["cases"]) == (same["sse"], same["cases"])
    assert ("sse" in other, {}) == (False, other["cases"])
