"""A2A tasks: artifacts that grow, states with messages, verdicts, snapshots, and what is odd about them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.a2a.support import (
    WIRES,
    artifact,
    message,
    payload,
    piece,
    read,
    state,
    status,
    task,
    whole,
)
from tests.formats.mutations import changed
from tests.formats.told import tell
from tests.support import wire as lines
from tests.support.formats import A2A
from tests.support.reading import read as read_body
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.events import Finish, PartDone, TextDelta
from tokenstream.message import OpaquePart, ReasoningPart, TextPart

HELLO = [artifact("Hel"), artifact("lo", append=True, lastChunk=True)]
DONE = status("completed")


@pytest.mark.parametrize("wire", WIRES)
def test_the_pieces_of_an_artifact_add_up_to_the_text(wire: str) -> None:
    got = read(
        task("submitted", wire=wire),
        status("working", wire=wire),
        artifact("Hel", wire=wire),
        artifact("lo", wire=wire, append=True, lastChunk=True),
        status("completed", wire=wire, final=True),
    )

    assert ["Hel", "lo"] == got.texts
    assert ("t1", "stop", state("completed", wire), "complete") == (
        got.message.id,
        got.reason,
        got.raw_reason,
        got.ending,
    )
    assert "c1" == got.data["contextId"]
    assert set() == got.rules


@pytest.mark.parametrize("wire", WIRES)
def test_a_message_without_a_task_is_the_whole_answer(wire: str) -> None:
    """Nothing follows it, so the answer is complete at once."""
    got = read(payload("message", wire, **message("Hello", wire)))

    assert ("Hello", "stop", None) == (got.message.text, got.reason, got.raw_reason)
    assert got.format.ended


def test_a_message_of_the_user_is_no_answer() -> None:
    """Some servers repeat the question."""
    got = read(payload("message", **{**message("Hi"), "role": "ROLE_USER"}), *HELLO, DONE)

    assert "Hello" == got.message.text
    assert ["message"] == got.unknown


def test_the_message_of_the_last_status_may_be_the_only_answer() -> None:
    """Many servers of version 0.3 begin with a status and answer in the last one."""
    got = read(
        status("submitted", wire="0.3", final=False),
        status("working", wire="0.3", final=False),
        status("completed", "4", wire="0.3", final=True),
    )

    assert ("4", "stop", "complete") == (got.message.text, got.reason, got.ending)
    assert set() == got.rules


@pytest.mark.parametrize("word", ["input-required", "auth-required"])
@pytest.mark.parametrize("wire", WIRES)
def test_a_question_to_the_user_is_text_and_a_pause(word: str, wire: str) -> None:
    """A stream that ends there is complete; the question comes beside artifacts, too."""
    got = read(artifact("Draft", wire=wire), status(word, "Which town?", wire=wire))

    assert "DraftWhich town?" == got.message.text
    assert ("pause", state(word, wire), "complete") == (got.reason, got.raw_reason, got.ending)
    assert set() == got.rules


def test_the_user_sees_the_pause_although_the_stream_stays_open() -> None:
    """By the specification, a server may close a stream at final states only."""
    format = A2A()
    events = [
        event for frame in (*HELLO, status("input-required", "And now?")) for event in format.feed(frame)
    ]

    assert ["pause"] == [event.reason for event in events if isinstance(event, Finish)]
    assert format.resting
    assert not format.ended


def test_a_stream_that_is_cut_inside_an_update_after_a_question_is_truncated() -> None:
    """The task may have gone on in that update."""
    body = lines.sse(status("input-required", "Which?"))

    assert read_body([body]).error is None
    assert isinstance(read_body([body + b'data: {"jsonrpc"']).error, StreamTruncated)


@pytest.mark.parametrize(("word", "kind"), [("failed", "unknown"), ("rejected", "invalid_request")])
def test_a_failure_is_an_error_with_the_agents_words(word: str, kind: str) -> None:
    got = read(*HELLO, status(word, "No luck."))

    assert str(got.failure) == "the provider reports an error: No luck."
    assert (word, kind) == (got.failure.type, got.failure.kind)
    assert ("Hello", "error") == (got.message.text, got.reason)


def test_a_failure_without_words_says_that_the_task_failed() -> None:
    assert "the task has failed" in str(read(status("failed")).error)
    assert "the agent refuses the task" in str(read(status("rejected")).error)


def test_a_canceled_task_is_cancelled() -> None:
    assert "cancelled" == read(status("canceled")).reason
    assert "cancelled" == read(status("cancelled")).reason


@pytest.mark.parametrize(("code", "retryable"), [(-32603, True), (-32001, False)])
def test_an_error_of_json_rpc_ends_the_answer(code: int, retryable: bool) -> None:
    got = read(artifact("Hel"), {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}})

    assert (str(code), retryable) == (got.failure.code, got.failure.retryable)
    assert "Hel" == got.message.text


def update(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return payload("artifact-update", taskId="t1", artifact={**fields, "parts": [*parts]})


ASKED = status("input-required", "Which?")
TEXTS: dict[str, tuple[list[Any], list[str], set[str]]] = {
    "artifacts that alternate": (
        [
            artifact("one ", id="a"),
            artifact("eins ", id="b"),
            artifact("two", id="a", append=True),
            artifact("zwei", id="b", append=True),
        ],
        ["one two", "eins zwei"],
        set(),
    ),
    "texts within an update": ([artifact("Hel", "", "lo")], ["Hello"], set()),
    # The start may have been lost; what arrived is shown.
    "an append to an unknown artifact": ([artifact("lo", append=True)], ["lo"], {"part_unopened"}),
    "more after the last chunk": ([*HELLO, artifact("!", append=True)], ["Hello", "!"], {"part_after_close"}),
    "an artifact without an id": ([update(piece("Hi"))], ["Hi"], {"part_index_missing"}),
    # Without `append`, it begins anew, and later pieces belong to the new one.
    "an artifact that is sent anew": (
        [artifact("Draft"), artifact("Fin"), artifact("al", append=True)],
        ["Final"],
        {"text_rewritten"},
    ),
    "a shorter artifact": ([artifact("Hello"), artifact("Hel")], ["Hel"], {"text_rewritten"}),
    "an artifact without a text any more": ([artifact("Hello"), artifact()], [], {"text_rewritten"}),
    "data in place of a text": (
        [artifact("Hello"), update({"data": 1}, artifactId="a1")],
        [],
        {"text_rewritten"},
    ),
    "a text in place of data": (
        [update({"data": 1}, artifactId="a1"), artifact("Hello")],
        ["Hello"],
        {"text_rewritten"},
    ),
    "a text in place of data and text": (
        [update({"data": 1}, piece("old"), artifactId="a1"), artifact("new")],
        ["new"],
        {"text_rewritten"},
    ),
    # The user need not answer in this stream; if he does, the answer goes on with it.
    "a question, and the end": ([ASKED], ["Which?"], set()),
    "a question that is answered": (
        [status("auth-required", "Log in."), status("working"), *HELLO],
        ["Log in.", "Hello"],
        set(),
    ),
    # Agents that send their text as an artifact repeat it as the question.
    "a question that repeats an artifact": ([artifact("Which?"), ASKED], ["Which?"], set()),
    # A client that comes back gets the last status again.
    "a question that the whole task repeats": (
        [ASKED, payload("task", id="t1", status=ASKED["result"]["statusUpdate"]["status"])],
        ["Which?"],
        set(),
    ),
}
"""What a task sends before it is completed, the texts of its parts, and what is counted."""


@in_one_test("name", TEXTS)
def test_the_updates_of_a_task_add_up_to_its_texts(name: str) -> None:
    frames, texts, rules = TEXTS[name]
    got = read(*frames, status("completed"))

    assert texts == [part.text for part in got.parts if isinstance(part, TextPart) and part.text]
    assert ("stop", "complete", rules) == (got.reason, got.ending, got.rules)
    data = [part.type for part in got.parts if isinstance(part, OpaquePart) and part.type != "dropped"]
    assert ["data"] * (name == "data in place of a text") == data


def test_messages_beside_artifacts_are_remarks() -> None:
    """Messages should not carry results, and often repeat the artifact."""
    progress = status("working", "Looking …")
    got = read(progress, progress, status("working", "Found."), *HELLO, status("completed", "Done."))

    assert "Hello" == got.message.text
    assert ["Looking …", "Found.", "Done."] == [
        said["parts"][0]["text"] for said in got.data["status_messages"]
    ]


# -- artifacts ---------------------------------------------------------------


def test_the_last_chunk_ends_the_part() -> None:
    """A reader need not wait for the end of the task."""
    got = read(*HELLO, artifact("x", id="b"), DONE)
    kinds = [type(event) for event in got.events if isinstance(event, TextDelta | PartDone)]

    assert [TextDelta, TextDelta, PartDone, TextDelta, PartDone] == kinds


def test_the_fields_of_an_artifact_are_with_its_part() -> None:
    first = {"artifactId": "a", "name": "report", "parts": [piece("Hel")], "metadata": {"unit": "C"}}
    later = {"artifactId": "a", "parts": [piece("lo", metadata={"n": 2})], "metadata": {"pages": 1}}
    got = read(
        payload("artifact-update", taskId="t1", artifact=first),
        payload("artifact-update", taskId="t1", artifact=later, append=True),
        DONE,
    )
    (part,) = got.parts

    assert isinstance(part, TextPart)
    assert "Hello" == part.text
    assert {
        "artifact": {"artifactId": "a", "name": "report", "metadata": {"unit": "C", "pages": 1}},
        "part": {"metadata": {"n": 2}},
    } == part.provider_data


@pytest.mark.parametrize(
    "file",
    [
        {"raw": "iVBORw==", "mediaType": "image/png", "filename": "sky.png"},
        {"kind": "file", "file": {"bytes": "iVBORw==", "mimeType": "image/png", "filename": "sky.png"}},
        {"file": {"fileWithBytes": "iVBORw==", "mimeType": "image/png", "filename": "sky.png"}},
    ],
    ids=["1.0", "0.3", "0.3 http"],
)
def test_bytes_of_a_file_are_media(file: dict[str, Any]) -> None:
    content = {"artifactId": "a", "parts": [piece("See: "), file, piece("Nice.")]}
    got = read(payload("artifact-update", taskId="t1", artifact=content), DONE)
    media = got.parts[1]

    assert ["text", "media", "text"] == got.kinds
    assert (b"\x89PNG", "image/png", {"filename": "sky.png"}) == (
        media.data,
        media.mime_type,
        (media.provider_data or {})["part"],
    )


@pytest.mark.parametrize(
    "file",
    [
        {"url": "https://example.org/a.pdf", "mediaType": "application/pdf"},
        {"kind": "file", "file": {"uri": "https://example.org/a.pdf", "mimeType": "application/pdf"}},
        {"file": {"fileWithUri": "https://example.org/a.pdf", "mimeType": "application/pdf"}},
    ],
    ids=["1.0", "0.3", "0.3 http"],
)
def test_the_address_of_a_file_is_media(file: dict[str, Any]) -> None:
    """Each version has a shape of its own for it."""
    content = {"artifactId": "a", "parts": [file]}
    (media,) = read(payload("artifact-update", taskId="t1", artifact=content), DONE).parts

    assert ("https://example.org/a.pdf", "application/pdf") == (media.url, media.mime_type)


@pytest.mark.parametrize("other", [{"data": {"degrees": 21}}, {"kind": "data", "data": {"degrees": 21}}])
def test_data_are_kept_as_they_came(other: dict[str, Any]) -> None:
    content = {"artifactId": "a", "parts": [other, {"kind": "smell", "of": "sea"}, {"raw": "no base64"}]}
    got = read(payload("artifact-update", taskId="t1", artifact=content), DONE)
    data, smell, broken = got.parts

    assert ("data", {"degrees": 21}) == (data.type, data.data["data"])
    assert ("smell", "sea") == (smell.type, smell.data["of"])
    assert "no base64" == broken.data["raw"]
    assert {"media_invalid"} == got.rules


def test_thoughts_of_googles_framework_are_reasoning() -> None:
    thought = piece("Hm.", metadata={"adk_thought": True})
    content = {"artifactId": "a", "parts": [thought, piece("Sunny.")]}
    got = read(payload("artifact-update", taskId="t1", artifact=content), DONE)

    assert ("Hm.", "Sunny.") == (got.message.reasoning, got.message.text)
    assert isinstance(got.parts[0], ReasoningPart)


@pytest.mark.parametrize("prefix", ["adk", "kagent"])
def test_tokens_in_the_metadata_are_the_usage(prefix: str) -> None:
    """Google's framework counts them as Gemini does, with the thoughts apart."""
    counts = {
        "promptTokenCount": 60,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 40,
        "totalTokenCount": 102,
    }
    usage = read(*HELLO, status("completed", metadata={f"{prefix}_usage_metadata": counts})).message.usage

    assert (60, 42, 102) == (usage.input_tokens, usage.output_tokens, usage.total_tokens)


# -- what comes again --------------------------------------------------------


def test_after_a_client_has_come_back_only_what_is_new_is_shown() -> None:
    """The server sends the whole task first; files are not shown again, either."""
    file = {"raw": "iVBORw==", "mediaType": "image/png"}
    first = {"artifactId": "a1", "parts": [piece("Hel"), piece("lo"), file]}
    again = {"artifactId": "a1", "parts": [piece("Hell"), piece(""), piece("o"), file, piece(" there")]}
    got = read(
        payload("artifact-update", taskId="t1", artifact=first),
        task("working", again, whole("More", "b")),
        artifact("!", id="b", append=True),
        DONE,
    )

    assert ["Hel", "lo", " there", "More", "!"] == got.texts
    assert ["text", "media", "text", "text"] == got.kinds
    assert set() == got.rules


@pytest.mark.parametrize("times", [1, 2])
def test_a_task_that_is_sent_once_more_at_the_end_changes_nothing(times: int) -> None:
    """The specification allows a server to do so."""
    plain = read(*HELLO, DONE)
    again = read(*HELLO, DONE, *[task("completed", whole("Hello"))] * times)

    assert plain.message == again.message
    assert set() == again.rules
    assert {"end_repeated"} == read(*HELLO, DONE, DONE).rules


def test_an_artifact_that_is_sent_whole_each_time_grows() -> None:
    """Some servers replace it by a longer one with each update."""
    got = read(artifact("H"), artifact("Hel"), artifact("Hello"), DONE)

    assert ["H", "el", "lo"] == got.texts
    assert set() == got.rules


def test_the_growth_is_not_mistaken_for_appended_text() -> None:
    artifacts = [
        {"artifactId": "a1", "parts": [piece(text, metadata={"by": "x"})]}
        for text in ("", "A", "AB", "ABC", "ABCD")
    ]
    got = read(*[payload("artifact-update", taskId="t1", artifact=each) for each in artifacts], DONE)

    assert ["A", "B", "C", "D"] == got.texts


def test_a_snapshot_of_another_artifact_is_beside_what_has_arrived() -> None:
    got = read(artifact("Draft"), task("working", whole("Dr")), DONE)

    assert "Draft" == got.message.text
    assert {"text_rewritten"} == got.rules
    assert [piece("Dr")] == got.data["artifacts.a1"]["parts"]


@pytest.mark.parametrize("earlier", ["Think", "What", "What size?"])
def test_messages_with_one_id_are_told_apart_by_their_state_and_content(earlier: str) -> None:
    """Some agents give all messages of a task one id."""

    def told(word: str, text: str) -> dict[str, Any]:
        found = {"state": state(word, "1.0"), "message": message(text, "1.0", "m")}
        return payload("status-update", taskId="t1", contextId="c1", status=found)

    asked = read(told("working", earlier), told("input-required", "What size?"))
    answered = read(told("working", earlier), told("completed", "Done."))

    assert ("What size?", "Done.") == (asked.message.text, answered.message.text)


def test_a_stream_compares_with_its_message() -> None:
    body = b"".join(
        map(lines.sse, [artifact("Hel"), artifact("Hexlo"), task("working", whole("Hello")), DONE])
    )
    for chunks in ([body], [body[at : at + 1] for at in range(len(body))]):
        reading = read_body(chunks)

        assert ("Hexlo", "a2a", {"text_rewritten": 2}) == (
            reading.message.text,
            reading.format,
            reading.departures,
        )


# -- the odd -----------------------------------------------------------------


def test_a_whole_task_in_a_json_body_is_an_answer() -> None:
    """A server that doesn't stream, and the answer to a request for a task."""
    bare = task("completed", whole("Hello"))["result"]["task"]
    for body in (task("completed", whole("Hello")), bare, task("completed", whole("Hello"), wire="0.3")):
        stream = Stream([json.dumps(body).encode()])

        assert ("Hello", "stop") == (stream.final().text, stream.message.finish_reason)
        assert "a2a" == stream.format


def test_other_tasks_change_the_id() -> None:
    """A stream has one task, so another one is a departure; its artifacts are its own."""
    other = payload("artifact-update", taskId="t2", artifact=whole("!"))
    got = read(*HELLO, other, DONE)

    assert ("t1", "Hello!") == (got.message.id, got.message.text)
    assert {"id_changed"} == got.rules


@given(
    frames=changed(
        [
            task("working", whole("Hel")),
            artifact("Hello"),
            artifact("!", append=True, lastChunk=True),
            status("input-required", "Which?"),
            status("completed", "Done."),
            task("submitted", wire="0.3"),
            artifact("Hello", wire="0.3"),
            payload("message", **message("Hi")),
        ]
    ),
    plain=st.booleans(),
)
def test_whatever_a_server_sends_only_our_errors_come_out(frames: list[Any], *, plain: bool) -> None:
    got = tell(A2A(), *frames, plain=plain)

    assert got.error is None or isinstance(got.error, StreamError)
    for index, part in enumerate(got.parts):
        if isinstance(part, TextPart) and part.provider_data != {"dropped": True}:
            # Artifacts may alternate, so the order of all pieces is not that of the text.
            deltas = [event for event in got.events if isinstance(event, TextDelta) and event.part == index]
            assert part.text == "".join([delta.text for delta in deltas])
