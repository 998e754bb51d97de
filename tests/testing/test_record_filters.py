"""Content kept out of a recording: secrets, and text that a user replaces or filters."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import AsyncSource, Source
from tests.support.effort import examples
from tests.testing.recorded import CHAT, KEY, SECRET, async_generator, generator, there
from tokenstream.errors import MisuseError
from tokenstream.testing import Recording, RecordingInvalid, record

load = Recording.load


def test_a_secret_is_reported_at_the_end_and_nothing_is_written(path: Path) -> None:
    """The loop has received everything by then."""
    got = []
    with pytest.raises(RecordingInvalid, match=r"a key of OpenAI.*byte 6 of the body") as raised:
        for chunk in record(Source(SECRET), path):
            got.append(chunk)

    assert SECRET == got
    assert KEY not in str(raised.value)
    assert not path.parent.exists() or [] == list(path.parent.iterdir())


@pytest.mark.anyio
async def test_a_secret_is_reported_when_the_source_is_closed(path: Path) -> None:
    sync, later = Source(SECRET), AsyncSource(SECRET)
    recorded = record(sync, path)
    assert SECRET[:2] == [next(recorded), next(recorded)]
    with pytest.raises(RecordingInvalid):
        recorded.close()
    recorded_later = record(later, path)
    assert SECRET[:2] == [await anext(recorded_later), await anext(recorded_later)]
    with pytest.raises(RecordingInvalid):
        await recorded_later.aclose()

    assert (1, 1) == (sync.closed, later.closed)
    assert not there(path)


@pytest.mark.anyio
async def test_a_secret_is_no_reason_to_lose_another_error(path: Path) -> None:
    """An error of the source or of the `with` block gets the refusal as a note."""
    with pytest.raises(ConnectionError) as broken:
        list(record(Source(SECRET, ConnectionError()), path))
    within: Any = record(generator(SECRET), path)
    with pytest.raises(ZeroDivisionError) as left, within as chunks:
        _ = next(chunks), next(chunks), 1 / 0
    later: Any = record(async_generator(SECRET), path)
    with pytest.raises(ZeroDivisionError) as left_later:
        async with later as chunks:
            _ = await anext(chunks), await anext(chunks), 1 / 0

    for raised in (broken, left, left_later):
        assert ["a key of OpenAI"] == re.findall("a key of OpenAI", "".join(raised.value.__notes__))
    assert not there(path)


@pytest.mark.parametrize(
    "options",
    [
        {"replace": {r"sk-[\w-]+": "sk-…"}},
        {"replace": {re.compile("SK-[a-z0-9-]+", re.IGNORECASE): "sk-…"}},
        {"replace": {rb"(sk)-[\w-]+": b"\\1-\xe2\x80\xa6"}},
        {"filter": lambda body: re.sub(rb"sk-[\w-]+", "sk-…".encode(), body)},
    ],
    ids=["str", "compiled", "bytes", "filter"],
)
def test_a_secret_can_be_taken_out(path: Path, options: dict[str, Any]) -> None:
    assert SECRET == list(record(Source(SECRET), path, **options))
    assert "data: sk-…\n\n".encode() == load(path).body
    assert b"data: " == load(path).chunks()[0][:6]


def test_the_head_is_replaced_too(path: Path) -> None:
    request = httpx.Request("POST", "https://example.com/mine/v1?key=1")
    response = httpx.Response(200, content=b"mine", headers={"x-request-id": "mine"}, request=request)
    record(response, path, replace={"mine": "yours"})

    assert "POST https://example.com/yours/v1" == load(path).request
    assert {"x-request-id": "yours"} == load(path).headers
    assert b"yours" == load(path).body


@pytest.mark.parametrize(
    "options, words",
    [
        ({"replace": {"(": ""}}, "not a valid regular expression"),
        ({"replace": {"a": 3}}, "and not int"),
        ({"headers": "x-mine"}, r'headers=\("x-mine",\)'),
        ({"headers": ["Authorization"]}, "authorization is never stored"),
    ],
)
def test_options_that_mean_nothing_are_refused_at_the_call(
    path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(MisuseError, match=words):
        record([b"a"], path, **options)


def test_a_filter_that_returns_no_bytes_is_reported(path: Path) -> None:
    no_bytes: Any = len
    with pytest.raises(MisuseError, match="as bytes and not as int"):
        list(record(Source(CHAT), path, filter=no_bytes))


def recorded(chunks: list[bytes], **options: Any) -> Recording:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "answer.rec"
        for _ in record(iter(chunks), path, **options):
            pass
        return load(path)


PIECES = st.lists(st.text("ab-", max_size=5).map(str.encode), max_size=6)


@given(
    PIECES,
    st.sampled_from(["a+", "ab", "b?", "a|-b", "-", "(a)(b)", "$", "x"]),
    st.sampled_from(["", "X", "long", "-"]),
)
@examples(100)
def test_replacing_is_that_of_the_whole_body(pieces: list[bytes], pattern: str, text: str) -> None:
    """A pattern ignores chunk boundaries, and those outside of the replaced text stay."""
    recording = Recording.of(pieces)
    found = recorded(pieces, replace={pattern: text})

    assert re.sub(pattern, text, recording.body.decode()).encode() == found.body
    assert len(found.arrivals) <= max(1, len(pieces))
    if found.body == recording.body:
        assert pieces == [data for _, data in found.arrivals]


@given(PIECES, st.text("ab-", max_size=12).map(str.encode))
@examples(100)
def test_a_filter_decides_about_the_body_alone(pieces: list[bytes], body: bytes) -> None:
    recording = Recording.of([b"<before>", *pieces, b"<behind>"])
    new = b"<before>" + body + b"<behind>"
    changed = recorded(recording.chunks(), filter=lambda _: new)

    assert new == changed.body
    assert [b"<before>", b"<behind>"] == [changed.arrivals[0].data[:8], changed.arrivals[-1].data[-8:]]
    assert recording.chunks() == recorded(recording.chunks(), filter=bytes).chunks()


def test_what_is_put_into_nothing_comes_at_once() -> None:
    """A body that was empty has no chunk in which it could stand."""
    assert [b"new"] == recorded([], filter=lambda _: b"new").chunks()
