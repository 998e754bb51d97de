"""Recordings to parametrise tests over: cut at every byte, and with every fault."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.recordings import OURS
from tests.support.tables import in_one_test
from tokenstream import testing
from tokenstream.errors import MisuseError, StreamError, StreamInterrupted, StreamTruncated
from tokenstream.testing import Arrival, Recording, every_cut, fault_matrix, faults

if TYPE_CHECKING:
    from pathlib import Path

HELLO = testing.script().text("Hel", "lo €").finish().recording("openai-chat").replaced(name="order.rec")
MEGABYTE = Recording.of([b"data: %d\n\n" % number + b"x" * 100 for number in range(9_000)])


@in_one_test("broken", every_cut(HELLO, every=40))
def test_each_cut_is_a_recording_like_any_other(broken: Recording) -> None:
    stream = broken.stream()
    try:
        stream.final()
    except StreamTruncated:
        assert "truncated" == stream.message.ending
    else:
        assert ("Hello €", "complete") == (stream.message.text, stream.message.ending)
    assert "Hello €".startswith(stream.message.text)


def test_there_is_one_cut_for_each_byte() -> None:
    size = len(HELLO.body)
    cuts = every_cut(HELLO)

    assert list(range(size)) == [len(cut.body) for cut in cuts]
    assert [HELLO.body[:17], None] == [cuts[17].body, cuts[17].breaks]
    assert HELLO.with_fault(faults.cut(at=17)) == cuts[17].replaced(name=HELLO.name)
    assert f"<{size:,} × order.rec cut>" == repr(cuts)


@pytest.mark.parametrize(("how", "told"), [("close", "closed"), ("reset", "reset")])
def test_a_connection_may_break_at_each_byte(how: Any, told: str) -> None:
    cuts = every_cut(HELLO, every=7, how=how)
    last = every_cut(HELLO, how=how)[-1]

    assert [f"order.rec {told} at byte 0", f"order.rec {told} at byte 7"] == [cut.name for cut in cuts[:2]]
    assert {how} == {cut.breaks for cut in cuts}
    assert (HELLO.body, "complete") == (last.body, last.stream().final().ending)
    with pytest.raises(StreamInterrupted):
        cuts[3].stream().final()


def test_cuts_are_called_by_where_they_are() -> None:
    cut = every_cut(HELLO)[17]

    assert "order.rec cut at byte 17" == cut.name == cut.__name__
    assert cut.name in repr(cut)


def test_a_cut_keeps_times_and_head() -> None:
    recording = Recording(
        (Arrival(1.0, b"data: a\n\n"), Arrival(5.0, b"data: b\n\n")),
        status=201,
        headers={"x": "y"},
        format="text",
    )
    cut = every_cut(recording)[12]

    assert ((1.0, b"data: a\n\n"), (5.0, b"dat")) == cut.arrivals
    assert (201, {"x": "y"}, "text") == (cut.status, cut.headers, cut.format)
    assert [0.5, 2.5] == [at for at, _ in cut.at_pace(2).arrivals]
    assert b"data: a\n\nd" == every_cut(cut)[10].body
    assert b"data: a" == cut.with_fault(faults.cut(at=7)).body
    assert [b"data: a\n\n", b"dat"] == cut.chunks() == cut.chunks("events")
    assert cut.body == pickle.loads(pickle.dumps(cut)).body


def test_parts_of_the_cuts_are_cuts() -> None:
    cuts = every_cut(HELLO, every=10)

    assert [30, 40] == [len(cut.body) for cut in cuts[3:5]]
    assert len(cuts[-1].body) == (len(HELLO.body) - 1) // 10 * 10
    with pytest.raises(IndexError):
        cuts[len(cuts)]


@pytest.mark.slow
def test_all_cuts_of_a_megabyte_cost_little() -> None:
    tracemalloc.start()
    try:
        cuts = list(every_cut(MEGABYTE, every=500))
        read = [len(cut.body) + len(cut.chunks()) + cut.at_once for cut in cuts[::40]]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (2_014, 51) == (len(cuts), len(read))
    assert held < 3_000_000
    assert len(every_cut(MEGABYTE)) == len(MEGABYTE.body)


def test_the_messages_of_a_websocket_are_cut_between() -> None:
    socket = Recording.of([b'{"a": 1}', b'{"b": 2}', b'{"c": 3}'], messages=True)

    assert [[], [b'{"a": 1}'], [b'{"a": 1}', b'{"b": 2}']] == [cut.chunks() for cut in every_cut(socket)]
    assert [0, 2] == [len(cut.chunks()) for cut in every_cut(socket, every=2, how="reset")]
    assert 3 == len(every_cut(socket, how="close")[3].chunks())


def test_what_makes_no_cuts_is_refused() -> None:
    how: Any = "burn"
    with pytest.raises(MisuseError, match='pass "cut", "close" or "reset"'):
        every_cut(HELLO, how=how)
    numbers: list[Any] = [0, -1, 1.5, "3", True]
    for every in numbers:
        with pytest.raises(MisuseError, match=f"every={every!r} is invalid"):
            every_cut(HELLO, every=every)


@pytest.mark.parametrize("given", [5, b"data: Hello\n\n", None])
def test_what_cannot_be_replayed_is_refused(given: Any) -> None:
    """Bytes are the path of nothing."""
    with pytest.raises(
        MisuseError, match="cannot be replayed: pass a Recording, the path of one, or a script"
    ):
        every_cut(given)


@in_one_test("format", testing.all_formats)
def test_there_is_a_matrix_for_every_format(format: str) -> None:
    names = [broken.name for broken in fault_matrix(testing.script().text("Hi €").finish().recording(format))]

    assert f"script in {format} with cut(at=0.5)" in names


@in_one_test("broken", fault_matrix(HELLO))
def test_one_test_covers_every_fault(broken: Recording) -> None:
    """An example of a user's own test: the answer is whole, or an error says what it lacks."""
    stream = broken.stream(pace="recorded")
    try:
        stream.final()
    except StreamError:
        assert stream.message.ending in {"truncated", "failed"}
    else:
        assert "complete" == stream.message.ending


def test_the_matrix_has_each_fault_that_there_is() -> None:
    """All faults of faults.py for which a recording has a place are in it, named as written."""
    names = [broken.name.removeprefix("order.rec with ") for broken in fault_matrix(HELLO)]
    # Only a program has an exit code, and only a session the others.
    made = set(faults.__all__) - {"Fault", "combined", "exit_code"}
    made -= {"connection_limit", "go_away", "half_frame", "late"}

    assert set() == {fault for fault in made if not any(f"{fault}(" in name for name in names)}
    assert len(names) == len(set(names))
    inside = HELLO.body.index("€".encode()) + 1
    assert f"cut(at={inside})" in names


def test_what_has_no_place_in_a_recording_is_left_out() -> None:
    """Comments are SSE's, and nothing can be split where all is ASCII."""
    plain = Recording.of([b'{"a": 1}\n', b'{"a": 2}\n'], name="plain")
    names = " ".join(broken.name for broken in fault_matrix(plain))

    assert "heartbeat" not in names
    assert "split_utf8" not in names
    assert "error_event" not in names
    assert "plain with crlf()" in names
    assert ["recording with " + name for name in ("empty()", "slow(seconds=0.5)")] == [
        broken.name for broken in fault_matrix(Recording()) if "empty" in broken.name or "slow" in broken.name
    ]


@pytest.mark.parametrize("make", [every_cut, fault_matrix])
def test_a_path_and_a_script_are_taken_too(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "order.sse"
    path.write_bytes((OURS / "openai-chat" / "text.sse").read_bytes())

    assert make(path)[0].name.startswith("order")
    assert b"" == make(testing.script().text("Hello").finish())[0].body
