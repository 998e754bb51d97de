"""Faults that matter to who asks again: waits, ids, what comes twice, and what is left behind.

Rows about `Retry`, `Reorder` and resuming stand here, too: each is one more `Row` in the list.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.driver import END, HALF, HELLO, TEXT, Outcome, read
from tests.faults.matrix import Result, Row, World, answered, every, interrupted, measured, saw, whole
from tests.faults.rows_calls import asked, begun
from tests.faults.rows_events import LAST, around
from tests.support import wire
from tests.support.loopback import FIN, Loopback, chunked, chunked_head, http_chunk, until_close

ODD_ID = "é€ 7"


def _id_kept(outcome: Outcome) -> Iterator[str]:
    checkpoint = outcome.error.checkpoint if outcome.error else None
    yield saw("`.checkpoint` has the id as it was sent", checkpoint and checkpoint.last_event_id == ODD_ID)


def asked_anew(world: World) -> Result:
    """Ask a second time, after an answer that broke inside an event, a character and a line end."""
    with Loopback(
        until_close(b"\xef\xbb\xbf" + HELLO + HALF),
        until_close(HELLO + b"data: \xe2\x82"),
        until_close(HELLO + b"data: x\r"),
        chunked([b"\xef\xbb\xbf" + HELLO, END]),
    ) as server:
        broken = [read(world, server).error for _ in range(3)]
        return measured(world, server, lambda _: [saw("nothing is left of the cut event", all(broken))])


ROWS = [
    Row(
        "F42",
        "`retry:` asks for a wait of 10^30 milliseconds, or of none.",
        every(*[around(f"retry: {wait}\n\n".encode()) for wait in ("0", "1" + "0" * 30)]),
        whole(),
    ),
    Row(
        "F56",
        "The same event comes twice, with nothing that tells them apart.",
        around(LAST),
        whole(kept=f"{TEXT}lo €"),
    ),
    Row(
        "F57",
        "The fragments of two calls come in turns, the second call first.",
        asked(
            begun(1, "a", '{"a":'),
            begun(0, "b", '{"b":'),
            wire.chat_call(1, " 1}"),
            wire.chat_call(0, " 2}"),
            calls=2,
        ),
        whole("calls handed out: 2", kept='Hi, f({"a": 1}), f({"b": 2})'),
    ),
    Row(
        "F59",
        "The last event's id is not ASCII, and has a space in it.",
        answered([chunked_head(), http_chunk(f"id: {ODD_ID}\n".encode() + HELLO), FIN], also=_id_kept),
        interrupted("`.checkpoint` has the id as it was sent"),
    ),
    Row(
        "F60",
        "An answer broke inside an event, a character or a line end, and the same is asked again.",
        asked_anew,
        whole("nothing is left of the cut event"),
    ),
]
