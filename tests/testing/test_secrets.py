"""Secrets never come into the file of a recording, and no error repeats one."""

from __future__ import annotations

import re
import time
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.effort import examples
from tests.support.tables import in_one_test
from tests.support.wire import sses
from tokenstream import Stream, testing
from tokenstream.errors import MisuseError
from tokenstream.testing import Arrival, Recording, RecordingInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

A, N = "aB3dE6gH9", "1234567890"
# In pieces, so that nobody who looks for keys in this repository finds one.
SECRETS = {
    "a key of Anthropic": "sk-" + "ant-api03-" + A * 4 + "_-AA",
    "a key of OpenAI": "sk-" + "proj-" + A * 4,
    "an API like theirs": "sk-" + "0123456789abcdef" * 2,
    "a key of Google": "AIza" + "SyD-" + A * 3 + "abcd",
    "a token of Google": "ya29" + ".a0Af-" + A * 4,
    "a client secret of Google": "GOC" + "SPX-" + A * 4,
    "an access key of AWS": "AKIA" + "ABCDEFGH12345678",
    "a secret key of AWS": '"SecretAccess' + 'Key": "' + "aB3/" * 10 + '"',
    "a key of Amazon Bedrock": "ABSK" + A * 8,
    "a short key of Amazon Bedrock": "bedrock-api" + "-key-" + A * 8,
    "a token of GitHub": "ghp" + "_" + A * 4,
    "a fine-grained token of GitHub": "github" + "_pat_" + A * 4,
    "a token of GitLab": "glpat" + "-" + A * 4,
    "a token of Slack": "xoxb" + "-12345678901-" + A,
    "a token of Hugging Face": "hf" + "_" + A * 4,
    "a key of Groq": "gsk" + "_" + A * 6,
    "a key of xAI": "xai" + "-" + A * 6,
    "a key of Perplexity": "pplx" + "-" + A * 6,
    "a key of NVIDIA": "nvapi" + "-" + A * 6,
    "a key of Cerebras": "csk" + "-" + A * 6,
    "a key of Fireworks": "fw" + "_" + A * 3,
    "a token of Replicate": "r8" + "_" + A * 4 + "x",
    "a key of Stripe": "sk" + "_live_" + A * 3,
    "a key of LangSmith": "lsv2" + "_pt_" + "0123456789abcdef" * 2,
    "a token in a header": "Bear" + "er " + A * 3,
    "a password in a header": "Author" + "ization: Basic " + A * 2,
    "a key under its name": "x-api" + "-key: " + A * 2,
    "a password": '"pass' + 'word": "hunter2-' + A + '"',
    "a cookie": "Set-Coo" + "kie: session=" + A * 2 + "; Path=/",
    "a JSON Web Token": "ey" + "J" + A * 2 + "." + A * 2 + "." + A * 2,
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a password in an address": "https://me:" + "word@example.com/",
    "a key in an address": "https://example.com/?api" + "_key=" + A * 2,
}
KEY = SECRETS["a key of OpenAI"]

HARMLESS = [
    "a risk-averse task-force",
    "sk-learn-based-something-quite-long",
    "sk-…",
    "bearer of bad news, and of more bad news",
    "Authorization: Bearer YOUR_KEY",
    "hf_transfer is a package",
    "xai-something",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "https://example.com:8080/a@b",
    "mailto:me@example.com",
    "https://example.com/?key=value&page=12345678901234567890",
    "XAKIAABCDEFGH1234567",
    "task-0123456789abcdef0123456789abcdef",
    "a risk-550e8400-e29b-41d4-a716-446655440000, the msk-cluster-2026-production-west",
    "task_test_internationalization",
    "standardbearer internationalization",
    '{"signature": "' + "Ab9x" * 12 + "AKIAABCDEFGH12345678" + '"}',
    "eyJ.eyJ.sig",
    'api_key = os.environ["OPENAI_API_KEY"]',
    "x-api-key: YOUR_KEY",
    '{"api_key": "string", "password": "your password"}',
    "password: at least 12 characters",
    "Cookie: consent=yes; language=en",
    "the bearer responsibilities of an internationalization",
    '{"obfuscation": "aB3dE6gH9aB3dE6gH9"}',
    "chatcmpl-BmQ0uV4S6Zx0yY1aB3dE6gH9aB3dE6gH9",
    "call_aB3dE6gH9aB3dE6gH9aB3dE6gH9",
]


OTHERWISE = [
    "Bear" + "er " + "abcdefgHIJ" * 3,
    '"api' + '_key": "' + A * 2 + '"',
    "export API" + "_KEY=" + A * 2,
    '"X-Amz-Security' + '-Token": "' + A * 2 + '=="',
]


def found_in(body: bytes) -> re.Match[str]:
    """Return the kind and the place of what is found, in the message of the error; nothing is written."""
    with TemporaryDirectory() as folder:
        with pytest.raises(RecordingInvalid) as refused:
            Recording.of([body]).save(Path(folder) / "new" / "a.rec")
        assert [] == list(Path(folder).iterdir())
    found = re.search(r"looks like (.+) is at byte (\d+) of the body \(in chunk 1\)", str(refused.value))

    assert found is not None, refused.value
    return found


@pytest.mark.parametrize("text", OTHERWISE)
def test_a_key_is_known_by_the_name_that_it_has(text: str) -> None:
    """In JSON, in a shell, in a header: keys without a known beginning are detected by their name."""
    found = found_in(f"say {text} to it".encode())

    assert found[1] in ("a key under its name", "a token in a header")
    assert 4 <= int(found[2]) < 4 + len(text)


@in_one_test("kind", SECRETS)
def test_each_kind_of_key_is_found_where_it_begins_and_is_not_repeated(kind: str) -> None:
    secret = SECRETS[kind].encode()
    text = b'data: {"text": "\xc3\xa9 %s and on"}' % secret
    found = found_in(text)

    assert kind in found[1]
    # Of an address and of a name with a key, the part that is secret is what is found.
    assert text.index(secret) <= int(found[2]) < text.index(secret) + len(secret)
    assert SECRETS[kind] not in found.string


@in_one_test("before", ["x", "9", "_", "a", "OPENAI_API_KEY", "%3D", "\\n", "\\u000a", "\x1b[0m", "é"])
@in_one_test("kind", SECRETS)
def test_a_key_is_found_after_a_letter_or_an_escape(kind: str, before: str) -> None:
    """Code that joins texts, an address and a terminal's colours leave no space before it."""
    assert kind in found_in(f'{{"text": "a {before}{SECRETS[kind]}"}}'.encode())[1]


def test_what_only_looks_a_little_like_a_key_is_none(tmp_path: Path) -> None:
    """An answer about keys, and the names that providers give, can be recorded."""
    body = "\n".join(HARMLESS).encode()
    Recording.of([body]).save(tmp_path / "a.rec")

    assert body == Recording.load(tmp_path / "a.rec").body


@pytest.mark.slow
def test_the_bodies_of_every_format_hold_none(tmp_path: Path) -> None:
    """Ids and signatures in providers' own answers are not secrets."""
    answer = testing.script().text("Hello").finish("stop")
    for format in testing.all_formats:
        answer.recording(format).save(tmp_path / f"{format}.rec")

    assert len(testing.all_formats) == len(list(tmp_path.iterdir()))


@pytest.mark.slow
def test_a_long_body_is_looked_through_quickly(tmp_path: Path) -> None:
    body = b'data: {"delta": {"content": " the risk of a bearer, AIz, hf, gsk, ghp"}}\n\n' * 40_000
    begun = time.process_time()

    Recording.of([body]).save(tmp_path / "a.bin")

    assert time.process_time() - begun < 6


@pytest.mark.not_quick
@pytest.mark.few_rows(3)
@pytest.mark.parametrize(
    "text",
    ["sk-", "sk-a", "bearer ", "eyJ-", "eyJaaaaaaaa-", "://a", "?key=a", "AKIA", "\\", "-----BEGIN ", "hf_a"],
)
def test_beginnings_of_keys_without_end_are_looked_through_quickly(tmp_path: Path, text: str) -> None:
    body = b"\\u0061 " + text.encode() * (200_000 // len(text))
    begun = time.process_time()
    Recording.of([body]).save(tmp_path / "a.bin")

    assert time.process_time() - begun < 3


# -- refusal ---------------------------------------------------------------


@given(border=st.integers(1, len(KEY) + 9))
@examples(30)
def test_a_key_is_found_across_the_borders_of_chunks(border: int) -> None:
    body = f"data: é {KEY}\n\n".encode()
    recording = Recording.of([b"data: a\n\n", body[:border], body[border:]])
    with pytest.raises(RecordingInvalid) as raised:
        recording.save("never-written.rec", overwrite=True)

    chunk = 2 if border > 9 else 3
    assert f"byte 18 of the body (in chunk {chunk})" in str(raised.value)
    assert not Path("never-written.rec").exists()


@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "gemini", "bedrock-converse", "ollama"])
def test_a_key_that_the_model_repeats_is_found_across_events(tmp_path: Path, format: str) -> None:
    recording = testing.script().text(f"It is {KEY}.").finish("stop").recording(format)
    assert KEY.encode() not in recording.body
    with pytest.raises(RecordingInvalid, match="spread over several events") as raised:
        recording.replaced(status=500, breaks="stall").save(tmp_path / "a.rec")

    assert KEY not in str(raised.value)


PIECES = [KEY[at : at + 5] for at in range(0, len(KEY), 5)]
IN_TURNS: dict[str, Callable[[int, str], object]] = {
    "choices": lambda which, text: {"choices": [{"delta": {"content": text}, "index": which}]},
    "choices of one event": lambda which, text: {
        "choices": [
            {"index": each, "delta": {"content": piece}} for each, piece in ((which, text), (999, "or"))
        ]
    },
    "calls of choices": lambda which, text: {
        "choices": [{"index": 1, "delta": {"tool_calls": [{"index": which, "arguments": text}]}}]
    },
    "items": lambda which, text: {"type": "delta", "delta": text, "item_id": f"item-{which}"},
    "parts of items": lambda which, text: {"output_index": 1, "content_index": which, "delta": text},
    "messages": lambda which, text: {"type": "TEXT", "messageId": f"{which}", "delta": text},
}
"""Events that give a piece of one of several texts."""


@pytest.mark.parametrize("others", [2, 150])
@pytest.mark.parametrize("before", [b"", b"data: [DONE]\n\n", b'data: {"a": {"b": "c\n\n'])
@in_one_test("kind", IN_TURNS)
def test_a_key_is_found_among_texts_that_come_in_turns(
    tmp_path: Path, kind: str, before: bytes, others: int
) -> None:
    answers = [
        IN_TURNS[kind](which, piece if which == others else " or")
        for piece in PIECES
        for which in range(others + 1)
    ]
    body = before + b"".join(sses(*answers))
    assert KEY.encode() not in body

    with pytest.raises(RecordingInvalid, match="spread over several events"):
        Recording.of([body]).save(tmp_path / "a.rec")


BEFORE = {
    "the sentinel": b"data: [DONE]\n\n",
    "an error of the provider": b'data: {"error": {"message": "busy"}}\n\n',
    "what is no JSON": b"data: {nothing\n\n",
    "what is too deep": b"data: " + b'{"a":' * 300 + b"1" + b"}" * 300 + b"\n\n",
}


@pytest.mark.parametrize(
    ("format", "before"),
    [
        *product(["openai-chat", "anthropic", "gemini", "text"], BEFORE.values()),
        *product(["bedrock-converse", "bedrock-invoke", "ollama"], [b"{nothing\n"]),
    ],
)
def test_a_key_is_found_across_events_that_nobody_reads(tmp_path: Path, format: str, before: bytes) -> None:
    """An answer is over or failed before them, and the recording holds them all the same.

    Also in binary event streams, with their payloads in base64, and in JSON lines.
    """
    answer = testing.script().text(f"It is {KEY}.").finish("stop").recording(format)
    recording = Recording.of([before, *answer.chunks()])
    assert KEY.encode() not in recording.body
    with pytest.raises(RecordingInvalid, match="spread over several events"):
        recording.save(tmp_path / "a.rec")

    assert not list(tmp_path.iterdir())


def test_half_a_surrogate_pair_is_recorded_as_it_came(tmp_path: Path) -> None:
    """A loop of text may give it, and the recorder is no reason for that loop to end."""
    pieces = ['{"a": "', "\ud83d", '"}']

    assert pieces == list(testing.record(iter(pieces), tmp_path / "a.rec"))
    assert b'{"a": "\xed\xa0\xbd"}' == Recording.load(tmp_path / "a.rec").body


@pytest.mark.parametrize(
    "written",
    [
        KEY.replace("-", "\\u002d"),
        "".join(f"\\u{ord(letter):04X}" for letter in KEY),
        "\\u003c" + KEY.replace("j", "\\u006a") + "\\u003e",
        '{\\"key\\": \\"' + KEY.replace("-", "\\\\u002d") + '\\"}',
    ],
)
def test_a_key_is_found_where_json_escapes_it(tmp_path: Path, written: str) -> None:
    """A letter may be escaped that needs none, in a body of any format, and in JSON within JSON."""
    with pytest.raises(RecordingInvalid, match="with escapes of JSON") as raised:
        Recording.of([f'{{"unheard-of": "{written}"}}'.encode()]).save(tmp_path / "a.rec")

    assert KEY not in str(raised.value)


@pytest.mark.parametrize("format", ["openai-chat", "anthropic"])
def test_a_key_is_found_where_arguments_escape_it(tmp_path: Path, format: str) -> None:
    """A model's tool arguments are JSON inside JSON, in pieces."""
    text = '{"key": "' + KEY.replace("-", "\\u002d") + '"}'
    answer = testing.script().tool_call("note", text).finish("tool_calls")
    with pytest.raises(RecordingInvalid, match="spread over several events"):
        answer.recording(format).save(tmp_path / "a.rec")


@pytest.mark.parametrize(
    "recording, place",
    [
        (Recording(headers={KEY: "a"}), "byte 0 of the names of its headers"),
        (Recording(format=KEY), "byte 0 of its format"),
        (Recording(headers={"x-mine": f"a {KEY}"}), "byte 2 of the header x-mine"),
        (Recording(request=f"POST https://example.com/{KEY}"), "byte 25 of the request line"),
    ],
)
def test_the_head_is_looked_through_too(tmp_path: Path, recording: Recording, place: str) -> None:
    """A key in an address is as readable as one in the body."""
    with pytest.raises(RecordingInvalid, match=place):
        recording.save(tmp_path / "a.rec")


def test_a_refusal_is_the_calling_codes_to_mend() -> None:
    assert issubclass(RecordingInvalid, ValueError)
    assert issubclass(RecordingInvalid, MisuseError)


# -- headers ---------------------------------------------------------------

SECRET_HEADERS = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "x-amz-security-token",
]


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_a_header_that_holds_a_secret_cannot_even_be_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(MisuseError, match=f"the header {name} is never stored"):
        testing.record([b""], tmp_path / "b.rec", headers=["x-mine", name.upper()])
    Recording(headers={name.title(): "x", "content-type": "text/plain"}).save(tmp_path / "a.rec")

    assert {"content-type": "text/plain"} == Recording.load(tmp_path / "a.rec").headers


def _kept(tmp_path: Path, headers: dict[str, str], named: tuple[str, ...]) -> dict[str, str]:
    response = httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"data: Hi\n\ndata: [DONE]\n\n"))
    testing.record(Stream(response, format="text"), tmp_path / "a.rec", headers=named).final()
    return dict(Recording.load(tmp_path / "a.rec").headers)


def test_only_the_headers_that_matter_are_kept(tmp_path: Path) -> None:
    """The request's id, the content type, times for retrying, and the headers named by the caller."""
    matter = {
        "content-type": "text/event-stream",
        "x-request-id": "r1",
        "retry-after": "2",
        "retry-after-ms": "2000",
        "x-ms-retry-after-ms": "2000",
        "date": "today",
        "x-ratelimit-remaining-tokens": "7",
        "anthropic-ratelimit-requests-limit": "7",
        "ratelimit": "7",
        "x-mine": "1",
    }
    others = {
        "server": "x",
        "connection": "close",
        "content-encoding": "identity",
        "set-cookie": "a",
        "etag": "b",
    }

    assert matter == _kept(tmp_path, {**matter, **others}, ("X-Mine", "x-other"))


@pytest.mark.parametrize(
    "headers, named, kept",
    [
        ({"date": "today"}, (), False),
        ({"date": "today"}, ("date",), True),
        ({"date": "today", "retry-after": "tomorrow"}, (), True),
        ({"date": "today", "x-ratelimit-reset": "tomorrow"}, (), True),
        ({"date": "today", "anthropic-ratelimit-tokens-reset": "tomorrow"}, (), True),
        ({"date": "today", "x-ratelimit-limit-tokens": "7"}, (), False),
    ],
)
def test_a_date_is_kept_where_it_says_something(
    tmp_path: Path, headers: dict[str, str], named: tuple[str, ...], kept: bool
) -> None:
    """A date would differ with every recording."""
    assert kept == ("date" in _kept(tmp_path, headers, named))


# -- saving ----------------------------------------------------------------

CHAT = testing.script().text("Hello").finish("stop").recording("openai-chat")


def test_a_saved_recording_is_the_same_one_again(tmp_path: Path) -> None:
    CHAT.replaced(name="other").save(str(tmp_path / "deep" / "down" / "order.rec"))

    assert CHAT.replaced(name="order") == Recording.load(tmp_path / "deep" / "down" / "order.rec")


def test_a_recording_in_a_format_of_somebodys_own_is_saved(tmp_path: Path) -> None:
    """A body that only its writer can decode is searched as bytes, and the format's name is kept."""
    CHAT.replaced(format="of-my-own").save(tmp_path / "a.rec")

    assert "of-my-own" == Recording.load(tmp_path / "a.rec").format


def test_a_file_is_only_replaced_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    CHAT.save(path)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        CHAT.save(path)
    Recording.of([b"new"]).save(path, overwrite=True)

    assert b"new" == Recording.load(path).body
    assert [path] == list(tmp_path.iterdir())


def test_with_the_name_of_a_bare_body_the_body_is_saved(tmp_path: Path) -> None:
    CHAT.save(tmp_path / "a.sse")

    assert CHAT.body == (tmp_path / "a.sse").read_bytes()


@pytest.mark.parametrize("name", ["a", "a.yaml", "a.html"])
def test_a_name_that_could_not_be_loaded_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MisuseError, match=rf"{name} is not a name for a recording: end it with \.rec"):
        CHAT.save(tmp_path / name)


def test_a_file_that_cannot_be_written_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.rec"
    Recording((Arrival(0, b"old"),)).save(path)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        CHAT.save(path, overwrite=True)

    assert b"old" == Recording.load(path).body
    assert [path] == list(tmp_path.iterdir())
