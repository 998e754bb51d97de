"""Content codings: told as soon as it was flushed, at every chunking, with bounds; a cut is never the end."""

from __future__ import annotations

import gzip
import itertools
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.chunkings import cut_at
from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError, StreamError, StreamTruncated
from tokenstream.framing._content_coding import ContentDecoder
from tokenstream.limits import Limits

DEFAULT = Limits()
TEXT = "data: Grüße, €\n\n".encode() * 40
EVENTS = [b"data: %d\n\n" % number for number in range(20)]


def _with_zlib(wbits: int) -> Callable[[list[bytes]], list[bytes]]:
    def compress(parts: list[bytes]) -> list[bytes]:
        stream = zlib.compressobj(wbits=wbits)
        return [*(stream.compress(part) + stream.flush(zlib.Z_SYNC_FLUSH) for part in parts), stream.flush()]

    return compress


def _brotli(parts: list[bytes]) -> list[bytes]:
    stream: Any = import_module("brotli").Compressor()
    return [*(stream.process(part) + stream.flush() for part in parts), stream.finish()]


def _zstd(parts: list[bytes]) -> list[bytes]:
    module: Any = import_module("zstandard")
    stream: Any = module.ZstdCompressor(write_checksum=True).compressobj()
    flush = module.COMPRESSOBJ_FLUSH_BLOCK
    return [*(stream.compress(part) + stream.flush(flush) for part in parts), stream.flush()]


# What a server calls it, and how it compresses parts that it flushes one by one.
CODINGS: dict[str, tuple[str, Callable[[list[bytes]], list[bytes]]]] = {
    "gzip": ("gzip", _with_zlib(31)),
    "x-gzip": ("X-GZip", _with_zlib(31)),
    "deflate": ("deflate", _with_zlib(15)),
    "bare deflate": ("deflate", _with_zlib(-15)),
    "br": ("br", _brotli),
    "zstd": ("zstd", _zstd),
}
CHECKED = ["gzip", "x-gzip", "deflate", "zstd"]
"""Those that carry a checksum of the text."""
every_coding = pytest.mark.parametrize("name", CODINGS)


def compressed(name: str, text: bytes = TEXT) -> bytes:
    return b"".join(CODINGS[name][1]([text]))


def decoded(
    coding: str, chunks: Iterable[bytes], limits: Limits = DEFAULT
) -> tuple[bytes, StreamError | None, bool]:
    """Return the text, the error and whether the end marker was seen."""
    decoder = ContentDecoder(coding, limits=limits)
    pieces = [piece for chunk in chunks for piece in decoder.feed(chunk)]
    pieces += decoder.end()
    return b"".join(pieces), decoder.error, decoder.ended


texts = st.binary(max_size=200) | st.builds(bytes.__mul__, st.binary(max_size=20), st.integers(0, 5000))
places = st.lists(st.integers(0, 100_000), max_size=8)


def _chunks(body: bytes, cuts: list[int]) -> list[bytes]:
    return cut_at(body, [cut % (len(body) + 1) for cut in cuts])


# -- what is whole -----------------------------------------------------------


@every_coding
@given(text=texts, cuts=places)
def test_any_chunking_of_the_compressed_bytes_gives_the_same_text(
    name: str, text: bytes, cuts: list[int]
) -> None:
    body = compressed(name, text)

    assert (text, None, True) == decoded(CODINGS[name][0], _chunks(body, cuts))


@every_coding
def test_what_the_server_flushed_is_there_at_once(name: str) -> None:
    """Nothing waits for more input once the compressor was flushed."""
    coding, compress = CODINGS[name]
    decoder = ContentDecoder(coding, limits=DEFAULT)
    chunks = compress(EVENTS)

    assert EVENTS == [b"".join(decoder.feed(chunk)) for chunk in chunks[:-1]]
    assert not decoder.ended
    assert [] == decoder.feed(chunks[-1])
    assert decoder.ended


@every_coding
@pytest.mark.parametrize("size", [1024 * 1024, 1024 * 1024 + 7])
def test_more_than_a_megabyte_is_given_at_once_in_pieces(name: str, size: int) -> None:
    """A piece is bounded, and what is beyond it does not wait for more input."""
    coding, compress = CODINGS[name]
    first, _last = compress([b"a" * size])
    pieces = ContentDecoder(coding, limits=DEFAULT).feed(first)

    assert size == sum(map(len, pieces))
    assert max(map(len, pieces)) <= 2 * 1024 * 1024


def test_what_lies_beyond_a_full_piece_waits_for_no_more_input() -> None:
    """The decompressor may have taken all input and still hold text that did not fit."""
    body = zlib.compress(b"a" * (1024 * 1024 + 400))
    for cut in range(len(body) - 20, len(body)):
        expected = zlib.decompressobj().decompress(body[:cut])

        assert expected == b"".join(ContentDecoder("deflate", limits=DEFAULT).feed(body[:cut]))


@pytest.mark.parametrize("coding", ["identity", "", " , ", "IDENTITY,identity"])
def test_identity_changes_nothing(coding: str) -> None:
    decoder = ContentDecoder(coding, limits=DEFAULT)

    assert [b"\x1f\x8b"] == decoder.feed(bytearray(b"\x1f\x8b"))
    assert [b"x"] == decoder.feed(memoryview(b"x"))
    assert [] == decoder.end()
    assert (None, True, None) == (decoder.error, decoder.ended, decoder.stop)
    decoder.check()


def test_several_codings_are_undone_in_reverse() -> None:
    """RFC 9110 §8.4: they are listed in the order in which they were applied."""
    body = gzip.compress(compressed("br", zlib.compress(TEXT)))

    for size in (1, 7, len(body)):
        chunks = [body[at : at + size] for at in range(0, len(body), size)]

        assert (TEXT, None, True) == decoded("deflate, br,identity,  GZIP", chunks)


@given(parts=st.lists(texts, min_size=1, max_size=4), cuts=places, zeros=st.integers(0, 5))
def test_members_and_frames_that_follow_each_other_are_one_body(
    parts: list[bytes], cuts: list[int], zeros: int
) -> None:
    """RFC 1952 §2.2 and RFC 8878 §3.1; zeros between gzip members are padding."""
    text = b"".join(parts)
    members = (bytes(zeros)).join(map(gzip.compress, parts)) + bytes(zeros)
    frames = b"".join(compressed("zstd", part) for part in parts)

    assert (text, None, True) == decoded("gzip", _chunks(members, cuts))
    assert (text, None, True) == decoded("zstd", _chunks(frames, cuts))


def _begins_no_member(rest: bytes) -> bool:
    rest = rest.lstrip(b"\0")
    return rest[:1] not in (b"\x1f", b"\x8b") and rest[1:2] != b"\x8b"


@pytest.mark.parametrize("name", ["gzip", "deflate", "bare deflate"])
@given(cuts=places, rest=st.binary(min_size=1).filter(_begins_no_member))
def test_bytes_after_the_end_of_gzip_and_deflate_are_ignored(name: str, cuts: list[int], rest: bytes) -> None:
    """Other clients ignore them, too: padding is usual, and the text before it is whole."""
    body = compressed(name) + rest

    assert (TEXT, None, True) == decoded(CODINGS[name][0], _chunks(body, cuts))


@pytest.mark.parametrize("name", ["br", "zstd"])
def test_bytes_after_the_end_of_br_and_zstd_are_an_error(name: str) -> None:
    """Other clients refuse them, too: nobody pads these codings."""
    text, error, _ = decoded(CODINGS[name][0], [compressed(name), b"no frame"])

    assert text == TEXT
    assert isinstance(error, ProtocolError)


# -- what is cut or broken ---------------------------------------------------


@every_coding
def test_a_cut_anywhere_is_reported_and_what_came_before_it_is_kept(name: str) -> None:
    coding, body = CODINGS[name][0], compressed(name)
    for size in range(1, len(body)):
        text, error, ended = decoded(coding, [body[:size]])

        assert isinstance(error, StreamTruncated)
        assert "the compressed body was cut" in str(error)
        assert error.retryable
        assert not ended
        assert TEXT.startswith(text)


def test_a_cut_in_the_second_member_or_in_an_outer_coding_is_reported() -> None:
    """Each member and each coding has an end of its own."""
    body = gzip.compress(TEXT)
    outer = gzip.compress(zlib.compress(TEXT))
    for size in range(1, len(body)):
        text, error, _ = decoded("gzip", [body, body[:size]])

        assert isinstance(error, StreamTruncated)
        assert text.startswith(TEXT)
    assert isinstance(decoded("deflate, gzip", [outer[:-1]])[1], StreamTruncated)
    assert isinstance(decoded("deflate, gzip", [gzip.compress(zlib.compress(TEXT)[:-1])])[1], StreamTruncated)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "gzip, br", "compress", ""])
def test_an_empty_body_is_an_empty_body_whatever_its_label(coding: str) -> None:
    """A server that has nothing to compress may send nothing."""
    assert (b"", None) == decoded(coding, [b"", b""])[:2]


@every_coding
def test_plain_text_under_a_coding_is_an_error_that_says_what_to_do(name: str) -> None:
    """The label was wrong, and asking for the same again gives the same."""
    text, error, _ = decoded(CODINGS[name][0], [b"data: secret\n\n"])

    assert text == b""
    assert isinstance(error, ProtocolError)
    assert "the body's compression is broken" in str(error)
    assert "Accept-Encoding: identity" in str(error)
    assert "secret" not in str(error)
    assert not error.retryable
    assert error.__cause__ is not None


@pytest.mark.parametrize("name", CHECKED)
def test_one_wrong_byte_is_an_error_or_changes_nothing(name: str) -> None:
    """What has a checksum is not read wrongly."""
    coding, body = CODINGS[name][0], compressed(name)
    # A wrong zlib header may be the start of bare deflate, which has no checksum.
    first = 2 if name == "deflate" else 0
    for place, flip in itertools.product(range(first, len(body)), (0x01, 0x20, 0x80, 0xFF)):
        wrong = bytearray(body)
        wrong[place] ^= flip
        text, error, _ = decoded(coding, [bytes(wrong)])

        assert isinstance(error, ProtocolError | StreamTruncated) or (error is None and text == TEXT)


@every_coding
@given(wrong=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=3))
def test_broken_bytes_never_raise(name: str, wrong: list[tuple[int, int]]) -> None:
    """`feed` tells of a fault by `error`; it raises for misuse only."""
    body = bytearray(compressed(name))
    for place, flip in wrong:
        body[place % len(body)] ^= flip
    error = decoded(CODINGS[name][0], [bytes(body)])[1]

    assert error is None or type(error) in (ProtocolError, StreamTruncated)


@pytest.mark.parametrize("name", ["gzip", "deflate", "bare deflate"])
@given(place=st.integers(2, 10_000), flip=st.integers(1, 255), cuts=places)
def test_what_is_before_a_fault_is_given_at_every_chunking(
    name: str, place: int, flip: int, cuts: list[int]
) -> None:
    body = bytearray(b"".join(CODINGS[name][1](EVENTS)))
    body[place % len(body)] ^= flip
    coding = CODINGS[name][0]
    text, error, _ = decoded(coding, [bytes([byte]) for byte in body])
    again, same, _ = decoded(coding, _chunks(bytes(body), cuts))

    assert (text, type(error)) == (again, type(same))


def test_after_an_error_nothing_is_returned() -> None:
    decoder = ContentDecoder("gzip", limits=DEFAULT)
    decoder.feed(b"plain")
    error = decoder.error

    assert [] == decoder.feed(gzip.compress(TEXT))
    assert [] == decoder.end()
    assert error is decoder.error
    with pytest.raises(ProtocolError, match="gzip"):
        decoder.check()


# -- bounds ------------------------------------------------------------------


@pytest.mark.few_rows(3)
@pytest.mark.slow_rows("br")
@every_coding
def test_a_bomb_ends_at_the_bound_and_is_never_held_whole(name: str) -> None:
    """What is given is the bound's worth, and what is held is not much more."""
    body = compressed(name, bytes(30_000_000))
    decoder = ContentDecoder(CODINGS[name][0], limits=Limits(body=2_000_000))
    tracemalloc.start()
    pieces = decoder.feed(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert sum(map(len, pieces)) == 2_000_000
    assert isinstance(decoder.error, LimitExceeded)
    assert (decoder.error.limit, decoder.error.value) == ("body", 2_000_000)
    assert peak < 20_000_000


@pytest.mark.slow
def test_a_bomb_within_a_bomb_ends_at_the_bound() -> None:
    """The bound holds for each coding, or the inner one could cost any time and come to nothing."""
    body = gzip.compress(gzip.compress(b"") + bytes(50_000_000))
    text, error, _ = decoded("gzip, gzip", [body], Limits(body=1_000_000))

    assert text == b""
    assert isinstance(error, LimitExceeded)


def test_a_body_as_large_as_the_bound_passes() -> None:
    """The bound is the most that may come; nothing fits where it is 0."""
    assert (TEXT, None, True) == decoded("gzip", [gzip.compress(TEXT)], Limits(body=len(TEXT)))
    text, error, _ = decoded("gzip", [gzip.compress(TEXT)], Limits(body=0))
    assert text == b""
    assert isinstance(error, LimitExceeded)


def test_a_window_larger_than_the_standard_allows_is_refused() -> None:
    """RFC 9659: the memory that a zstd frame asks for is bounded by 8 MiB."""
    module: Any = import_module("zstandard")
    wide = module.ZstdCompressionParameters(window_log=27)
    compressor = module.ZstdCompressor(compression_params=wide).compressobj()
    body = compressor.compress(bytes(1000)) + compressor.flush()

    assert isinstance(decoded("zstd", [body])[1], ProtocolError)


# -- what is not there -------------------------------------------------------


def test_an_unknown_coding_is_an_error_once_a_byte_comes() -> None:
    for coding in ("compress", "gzip, aws-chunked", ", ".join(["gzip"] * 6)):
        error = decoded(coding, [b"x"])[1]

        assert isinstance(error, ProtocolError)
        assert "Accept-Encoding: identity" in str(error)
        assert not error.retryable


@pytest.mark.parametrize(
    "coding, modules, install",
    [
        ("br", ["brotli", "brotlicffi"], "brotli>=1.2"),
        ("zstd", ["compression.zstd", "zstandard"], "zstandard"),
    ],
)
def test_a_missing_package_is_named(
    coding: str, modules: list[str], install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard library has no br, and no zstd before Python 3.14."""
    body = compressed(coding)
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    error = decoded(coding, [body])[1]

    assert isinstance(error, ProtocolError)
    assert f"install {install}, or" in str(error)
    assert "Accept-Encoding: identity" in str(error)


def test_a_brotli_without_bounds_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 1.2 one call could return gigabytes."""
    body = compressed("br")
    monkeypatch.setitem(sys.modules, "brotli", SimpleNamespace(Decompressor=object))

    assert isinstance(decoded("br", [body])[1], ProtocolError)


def test_python_s_own_zstd_is_taken_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any = import_module("zstandard")
    seen: list[dict[object, int]] = []

    def decompressor(options: dict[object, int]) -> Any:
        seen.append(options)
        return package.ZstdDecompressor().decompressobj()

    own = SimpleNamespace(
        ZstdDecompressor=decompressor,
        ZstdError=package.ZstdError,
        DecompressionParameter=SimpleNamespace(window_log_max="window"),
    )
    body = compressed("zstd")
    monkeypatch.setitem(sys.modules, "compression.zstd", own)

    assert (TEXT, None, True) == decoded("zstd", [body])
    assert [{"window": 23}] == seen
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    assert (TEXT, None, True) == decoded("zstd", [body])


def test_text_and_bytes_after_the_end_are_misuse() -> None:
    decoder = ContentDecoder("gzip", limits=DEFAULT)
    text: Any = "text"
    with pytest.raises(MisuseError, match="takes the bytes of a body, not str"):
        decoder.feed(text)
    decoder.end()
    with pytest.raises(MisuseError, match="after end"):
        decoder.feed(b"x")
