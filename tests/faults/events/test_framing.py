"""Faults of the event layer, F43 of the fault matrix: framing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.events.support import BODIES, every_format
from tests.support.chunkings import cut_at
from tokenstream import Stream

_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@every_format
@given(data=st.data())
def test_f43_mixed_line_ends_give_the_same_answer(format: str, data: st.DataObject) -> None:
    """F43: each line may have a line end of its own kind, and be cut anywhere."""
    lines = b"".join(BODIES[format].all).split(b"\n")
    body = b"".join(
        line + (data.draw(_ENDS) if line else data.draw(st.sampled_from([b"\r", b"\r\n"]))) for line in lines
    )
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    stream = Stream(cut_at(body, places))

    assert "Hello €" == stream.final().text
