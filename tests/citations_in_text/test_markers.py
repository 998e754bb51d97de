"""Citation markers of a text become citations, the same however the text is cut."""

from __future__ import annotations

import random
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import pytest

from tests.calls_in_text.test_streams import body
from tests.recovery.routes.providers import Behaviour, Provider
from tests.session.servers import ResponsesServer, serving
from tests.session.talks import COLOURS, talking
from tests.support.chunkings import bytewise, several
from tests.support.reading import aread, read
from tests.support.wire import DONE, chat
from tokenstream import Decoder, Limits, MisuseError, Retry, Stream, Tags, connect, resilient, tap, testing
from tokenstream.errors import LimitExceeded
from tokenstream.message import Citation
from tokenstream.relay import encode
from tokenstream.stages._citations import MARKERS, MarkerScanner
from tokenstream.stages._text.scanning import Passage

SOURCES = [Citation(url="https://one.test", title="One"), Citation(url="https://two.test")]
CITED = '<cite index="0-1,2">The sky</cite> is blue【12†source】, and high[^3].'

TEXTS: list[tuple[str, str, list[tuple[str, str]]]] = [
    # The text, what is left of it, and the words or the place of each citation with the name of its source.
    ("It is blue【12†source】.", "It is blue.", [("", "12")]),
    ("Blue【4:0†a b.txt】【6†L9-L11】", "Blue", [("", "4:0"), ("", "6")]),
    (
        "One[^1], two[^2_3].\n\n[^1]: https://one.test",
        "One, two.\n\n[^1]: https://one.test",
        [("", "1"), ("", "2_3")],
    ),
    ('So <cite index="0-1,2">the sky</cite> is.', "So the sky is.", [("the sky", "0-1,2")]),
    ("<cite index='3'>Whole.</cite>", "Whole.", [("Whole.", "3")]),
    ("<cite index=3>Without an end", "Without an end", [("Without an end", "3")]),
    ('<cite index="1">in 【2†x】it</cite>', "in it", [("", "2"), ("in it", "1")]),
    ("Blue[1][2].", "Blue.", [("", "1"), ("", "2")]),
    ("Blue [1](https://one.test), a[3], a[0].", "Blue [1](https://one.test), a[3], a[0].", []),
    ("Blue[1]\n\n[1] One\n- [2] Two\n[2]: two", "Blue\n\n[1] One\n- [2] Two\n[2]: two", [("", "1")]),
    (
        "`a[1]` and ``x【1†y】``:\n```\nb[^1]\n<cite index=1>\n```\nc[^1]",
        "`a[1]` and ``x【1†y】``:\n```\nb[^1]\n<cite index=1>\n```\nc",
        [("", "1")],
    ),
    (
        "【注】 [^a-z] [^note] <cite>a</cite> </cite> <c",
        "【注】 [^a-z] [^note] <cite>a</cite> </cite> <c",
        [],
    ),
    ("Blue\ue200cite\ue202turn0search0\ue201.", "Blue.", [("", "turn0search0")]),
    ("Blue\ue200filecite\ue202turn0file1\ue202L8-L13\ue201.", "Blue.", [("", "turn0file1")]),
    (
        "Blue\ue200cite\ue202turn0search0\ue202turn1news2\ue202L7\ue201\ue200cite\ue202file_0\ue201",
        "Blue",
        [("", "turn0search0"), ("", "turn1news2"), ("", "file_0")],
    ),
    (
        "`a\ue200cite\ue202x\ue201` \ue200image\ue202x\ue201 \ue200cite\ue201 \ue200cite\ue202",
        "`a\ue200cite\ue202x\ue201` \ue200image\ue202x\ue201 \ue200cite\ue201 \ue200cite\ue202",
        [],
    ),
    ("[[^1", "[[^1", []),
    ("a [^", "a [^", []),
    ("", "", []),
]


def split(pieces: Any) -> tuple[str, list[Citation]]:
    scanner = MarkerScanner(MARKERS, SOURCES)
    given, citations = "", []
    for piece in [found for text in pieces for found in scanner.feed(text)] + scanner.end():
        if isinstance(piece, Passage):
            given += piece.text
        else:
            citations.append(piece.make_citation(len(given), 0))
    return given, citations


@pytest.mark.parametrize(("text", "left", "cited"), TEXTS)
def test_markers_leave_the_text_and_tell_their_place(
    text: str, left: str, cited: list[tuple[str, str]]
) -> None:
    given, citations = split([text])

    assert left == given
    assert cited == [
        (left[each.start : each.end], (each.provider_data or {})["source"]) for each in citations
    ]


@pytest.mark.parametrize("text", [text for text, _, _ in TEXTS])
def test_every_cut_gives_the_same_citations(text: str) -> None:
    expected = split([text])

    assert expected == split(list(text))
    for place in range(len(text)):
        assert expected == split([text[:place], text[place:]])


@pytest.mark.parametrize("seed", range(40))
def test_any_text_gives_the_same_at_every_cut(seed: int) -> None:
    dice = random.Random(seed)
    parts = [
        "【",
        "1†s】",
        "】",
        "[^1]",
        "[",
        "^2]",
        "\ue200cite\ue202",
        "a\ue202L1",
        "\ue201",
        "(",
        "]",
        "[1]",
        "<cite index=",
        '"1">',
        "</cite>",
        "`",
        "```\n",
        "\n",
        " a",
        ":",
    ]
    text = "".join(dice.choices(parts, k=30))
    cuts = sorted(dice.sample(range(len(text)), 8))
    pieces = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]

    assert split([text]) == split(list(text)) == split(pieces)


def test_sources_that_are_known_are_reported() -> None:
    """A number that no source has is text, unless numbers were asked for by name."""
    _, [first] = split(["a[1]"])
    named = Stream(body("a[7]"), tags=Tags(citations="number")).final()

    assert ("https://one.test", "One") == (first.url, first.title)
    assert ["7"] == [(each.provider_data or {})["source"] for each in named.citations]


def test_what_may_be_a_marker_is_held_no_longer_than_a_marker() -> None:
    for opening in ("【1†", "[", "[^", "<cite index=", "<"):
        scanner, given, size = MarkerScanner(MARKERS, ()), 0, 0
        for _ in range(400):
            size += len(opening) + 1
            given += sum(
                len(piece.text) for piece in scanner.feed(f"{opening} ") if isinstance(piece, Passage)
            )

            assert size - given <= 140


def test_a_stream_has_the_citations_of_its_text() -> None:
    message = Stream(body(CITED), tags=Tags(citations=True)).final()

    assert ["text", "citation", "citation", "citation"] == [part.kind for part in message.parts]
    assert "The sky is blue, and high." == message.text
    assert [("The sky", 0), ("", 0), ("", 0)] == [
        (message.text[each.start : each.end], each.cites) for each in message.citations
    ]
    assert [7, 15, 25] == [each.end for each in message.citations]


def test_every_chunking_of_a_stream_gives_the_same_in_both_colours() -> None:
    call = '<tool_call>{"name": "look", "arguments": {"at": "[^9]"}}</tool_call>'
    sent = b"".join(body(f"<think>a[^1]</think>{CITED}\n{call}\nSo[^4]: " + "word " * 50 + "[^5]!"))
    options: dict[str, Any] = {"tags": Tags(calls=True, reasoning=True, citations=True)}
    expected = read([sent], **options)

    message = expected.message
    assert ("a[^1]", [{"at": "[^9]"}]) == (message.reasoning, [call.arguments for call in message.tool_calls])
    texts = [part.text if part.kind == "text" else "" for part in message.parts]
    assert ["The sky", "", "", "", ""] == [
        texts[each.cites or 0][each.start : each.end] for each in message.citations
    ]
    assert [2, len(texts[-3]) - 1] == [each.end for each in message.citations[-2:]]
    for chunks in (bytewise(sent), *several(sent, "citations").values()):
        assert expected.message == read(chunks, **options).message
        assert expected.message == anyio.run(partial(aread, chunks, **options)).message


def test_numbers_count_the_sources_that_the_api_has_sent() -> None:
    """Perplexity sends such a list; `[n]` is text where the API has sent none."""
    listed = chat({"role": "assistant"}, citations=["https://one.test", "https://two.test"])
    sent = [listed, chat({"content": "Blue[2], a[3]"}), chat({}, "stop"), DONE]
    message = Stream(sent, tags=Tags(citations=True)).final()
    unlisted = Stream(body("Blue[2]."), tags=Tags(citations=True)).final()

    assert "Blue, a[3]" == message.text
    assert [("https://two.test", 4)] == [
        (each.url, each.end) for each in message.citations if each.cites is not None
    ]
    assert ("Blue[2].", ()) == (unlisted.text, tuple(unlisted.citations))


@pytest.mark.parametrize("format", testing.all_formats)
def test_every_format_reads_the_markers_of_its_text(format: Any) -> None:
    script = testing.script().text("So【1", "2†source】", " yes.").finish("stop")
    message = Stream(script.chunks(format), format=format, tags=Tags(citations=True)).final()

    assert "So yes." == message.text
    assert ["12"] == [(each.provider_data or {})["source"] for each in message.citations]


@pytest.mark.parametrize("protocol", ["openai-chat", "openai-responses", "ui-message", "tokenstream"])
def test_a_page_sees_citations_where_the_protocol_has_them(protocol: Any) -> None:
    listed = chat({"role": "assistant"}, citations=["https://one.test"])
    sent = [listed, chat({"content": "Blue[1]!"}), chat({}, "stop"), DONE]
    with Stream(sent, tags=Tags(citations=True)) as stream:
        encoded = b"".join(encode(stream, protocol))
    message = Stream([encoded], format=protocol).final()

    assert "Blue!" == message.text
    assert {"https://one.test"} == {each.url for each in message.citations}


def test_citations_are_bounded_as_other_parts_are() -> None:
    stream = Stream(body("a[^1]" * 9), tags=Tags(citations=True), limits=Limits(parts=4))
    with pytest.raises(LimitExceeded):
        list(stream)

    assert 3 == len(stream.message.citations)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_session_takes_the_option(colour: str) -> None:
    with serving(ResponsesServer()) as url, talking(colour, url, tags=Tags(citations="footnote")) as talk:
        message = talk.ask("so[^1]").message

    assert ("I know: so", 1) == (message.text, len(message.citations))


def test_all_other_readers_take_the_option() -> None:
    sent, option = body("a[^1]"), "footnote"
    decoder = Decoder(tags=Tags(citations=option))
    for chunk in sent:
        decoder.feed(chunk)
    tapped = tap(sent, tags=Tags(citations=option))
    for _ in tapped:
        pass
    again = resilient(lambda: sent, Retry(), tags=Tags(citations=option)).final()
    behaviour = Behaviour(script=testing.script().text("a[^1]").finish())
    routed = connect(Provider("openai-chat", behaviour).route(tags=Tags(citations=option))).final()
    provider = Provider("openai-chat", behaviour)
    asked = connect(
        provider.url, client=provider.client(), json=provider.payload, tags=Tags(citations=option)
    ).final()

    for message in (decoder.message, tapped.message, again, routed, asked):
        assert ("a", [1]) == (message.text, [each.end for each in message.citations])


@pytest.mark.parametrize("wrong", ["nonsense", ("cite", "x"), 3])
def test_a_name_that_is_no_marker_is_refused(wrong: Any) -> None:
    with pytest.raises(MisuseError, match=r"the markers are openai, footnote"):
        Stream([], tags=Tags(citations=wrong))
