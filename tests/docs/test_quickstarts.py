"""The programs of docs/guides/quickstarts.md run as they are, but for the beginning of their URL.

Each is served its recording from docs/guides/quickstarts, at the provider's own path and nowhere else.
The table of the page tells which beginning of the URL is replaced when there is no key; the tests go by it.
"""

from __future__ import annotations

import gc
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import serving
from tests.docs.pages import blocks
from tests.project import ROOT
from tests.support.packages import needed
from tokenstream import Stream, Tags, testing
from tokenstream.testing import Recording, Request

PAGE = (ROOT / "docs" / "guides" / "quickstarts.md").read_text(encoding="utf-8")
RECORDINGS = ROOT / "docs" / "guides" / "quickstarts"
KEY = "made-up"
_REPLACED = re.compile(
    r"^\| \[[^]]+\]\(#(?P<section>[\w-]+)\) \| `(?P<host>[^`]+)`"
    r" \| `http://127\.0\.0\.1:8000/(?P<name>[\w-]+)` \|$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Quickstart:
    """A program of the page, and the request that its provider's documents ask for."""

    heading: str
    name: str
    """Of its recording."""
    url: str
    path: str
    """Of the request, with the query."""
    headers: Mapping[str, str]
    asks: Mapping[str, Any]
    """The part of the payload that asks for a stream."""
    last_line: str
    key: str | None = None
    """The variable with the key; None if the server needs none."""

    @property
    def anchor(self) -> str:
        return self.heading.lower().replace(":", "").replace(" ", "-")


QUICKSTARTS = [
    Quickstart(*row) for row in json.loads(Path(__file__).with_name("quickstarts.json").read_bytes())
]
"""All but Bedrock's, whose request boto3 sends."""
BEDROCK = "Amazon Bedrock"
BEDROCK_PATH = "/model/us.amazon.nova-2-lite-v1%3A0/converse-stream"
_ENDPOINT = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"

every_quickstart = pytest.mark.parametrize("quickstart", QUICKSTARTS, ids=lambda quickstart: quickstart.name)


def section_of(heading: str) -> str:
    sections = PAGE.split(f"\n## {heading}\n")
    assert len(sections) == 2, f"docs/guides/quickstarts.md has no section {heading}"
    return sections[1].split("\n## ")[0]


def program_of(heading: str) -> str:
    (program,) = blocks(section_of(heading), "python")
    return program.code


def recording_of(name: str) -> Path:
    found = sorted(RECORDINGS.glob(f"{name}.*"))
    if len(found) != 1:
        place = f"docs/guides/quickstarts/{name}.*"
        pytest.fail(f"the quickstart {name} needs one recording, {place}, and has {len(found)}")
    return found[0]


def text_of(recording: Path) -> str:
    """Return the text of a recorded answer, without the reasoning between tags."""
    with Stream(recording, tags=Tags(reasoning=True)) as stream:
        message = stream.final()
    assert (message.ending, bool(message.text)) == ("complete", True)
    return message.text


def shown_by(recording: Path) -> str:
    """Return what a program shows of a recorded answer: its text, after DeepSeek's dim reasoning."""
    with Stream(recording) as stream:
        reasoning = [f"\033[2m{piece}\033[0m" for piece in stream.reasoning]
    return ("".join(reasoning) if recording.stem == "deepseek" else "") + text_of(recording)


def run(program: str) -> str:
    with redirect_stdout(StringIO()) as output:
        exec(compile(program, "quickstart.py", "exec", dont_inherit=True), {"__name__": "__main__"})
    # What the program left open warns here, in its own test.
    gc.collect()
    return output.getvalue()


def sent_headers(request: Request, names: Mapping[str, str]) -> dict[str, str | None]:
    return {name: request.headers.get(name) for name in names}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no key but those that a test sets, and no proxy."""
    for quickstart in QUICKSTARTS:
        if quickstart.key:
            monkeypatch.delenv(quickstart.key, raising=False)
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@every_quickstart
def test_a_quickstart_prints_its_answer(quickstart: Quickstart, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program sends the request that its provider documents, and prints the text and a last line."""
    recording = recording_of(quickstart.name)
    program = program_of(quickstart.heading)
    assert program.count(f'"{quickstart.url}/') == 1
    if quickstart.key:
        monkeypatch.setenv(quickstart.key, KEY)
    route = quickstart.path.partition("?")[0]
    with testing.serve({route: Recording.load(recording)}) as server:
        printed = run(program.replace(quickstart.url, server.url))
        (request,) = server.requests

    assert printed == f"{shown_by(recording)}\n{quickstart.last_line}\n"
    assert (request.method, request.path) == ("POST", quickstart.path)
    assert sent_headers(request, quickstart.headers) == dict(quickstart.headers)
    assert {key: request.json.get(key) for key in quickstart.asks} == dict(quickstart.asks)
    assert "Why is the sky blue?" in str(request.json)
    if quickstart.key is None:
        assert request.headers.get("Authorization") is None


@pytest.mark.slow
@every_quickstart
def test_a_quickstart_can_be_tried_without_a_key(
    quickstart: Quickstart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the replacement in the page's table, a program gets its recording from `tokenstream serve`."""
    recording = recording_of(quickstart.name)
    replaced = {row["section"]: row for row in _REPLACED.finditer(PAGE)}
    row = replaced[quickstart.anchor]
    assert (row["host"], row["name"]) == (quickstart.url, quickstart.name)
    if quickstart.key:
        monkeypatch.setenv(quickstart.key, "anything")
    with serving(str(RECORDINGS)) as (process, url, _):
        printed = run(program_of(quickstart.heading).replace(row["host"], f"{url}/{row['name']}"))
        log = log_of(process)

    assert printed == f"{shown_by(recording)}\n{quickstart.last_line}\n"
    assert log == [f"POST /{quickstart.name}{quickstart.path}: {recording.name}"]


def log_of(process: subprocess.Popen[str]) -> list[str]:
    """Return the lines about requests that a server of a folder has printed, and end it."""
    assert process.stdout is not None
    process.terminate()
    return [line.rstrip("\n") for line in process.stdout if re.match(r"[A-Z]+ /", line)]


# Making a client reads the service's model, which takes a while on a busy machine.
@pytest.mark.parametrize("served", ["at the root", "as the page says"])
def test_the_quickstart_for_bedrock_prints_its_answer(
    served: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The program for Bedrock runs unchanged; variables tell boto3 the address and the credentials."""
    recording = recording_of("bedrock")
    prefix = "" if served == "at the root" else bedrock_prefix()
    prepare_boto3(monkeypatch, tmp_path)
    with testing.serve({prefix + BEDROCK_PATH: Recording.load(recording)}) as server:
        monkeypatch.setenv(_ENDPOINT, server.url + prefix)
        printed = run(program_of(BEDROCK))
        (request,) = server.requests

    assert printed == f"{text_of(recording)}\nstop, 16 tokens\n"
    assert (request.method, request.path) == ("POST", prefix + BEDROCK_PATH)
    authorization = request.headers["Authorization"]
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/us-east-1/bedrock/aws4_request" in authorization
    assert request.json == {"messages": [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]}


@pytest.mark.slow
def test_the_quickstart_for_bedrock_can_be_tried_without_a_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The address that the page gives is that of its recording in `tokenstream serve`."""
    recording, prefix = recording_of("bedrock"), bedrock_prefix()
    prepare_boto3(monkeypatch, tmp_path)
    with serving(str(RECORDINGS)) as (process, url, _):
        monkeypatch.setenv(_ENDPOINT, url + prefix)
        printed = run(program_of(BEDROCK))
        log = log_of(process)

    assert printed == f"{text_of(recording)}\nstop, 16 tokens\n"
    assert log == [f"POST {prefix}{BEDROCK_PATH}: {recording.name}"]


def bedrock_prefix() -> str:
    (prefix,) = re.findall(rf"export {_ENDPOINT}=http://127\.0\.0\.1:8000(/\S+)", PAGE)
    return str(prefix)


def prepare_boto3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give boto3 made-up credentials, and keep it from those of this machine."""
    needed("boto3")
    for variable in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    # Nor are the credentials and settings of this machine read.
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)


def test_each_program_of_the_page_is_run() -> None:
    """A section with a program is in the table above, and a recording belongs to a section."""
    sections = [section.partition("\n")[0] for section in PAGE.split("\n## ")[1:]]
    programs = {heading for heading in sections if list(blocks(section_of(heading), "python"))}
    names = {quickstart.name for quickstart in QUICKSTARTS} | {"bedrock"}

    assert {quickstart.heading for quickstart in QUICKSTARTS} | {BEDROCK} == programs
    assert {path.stem for path in RECORDINGS.iterdir()} == names
    assert {row["name"] for row in _REPLACED.finditer(PAGE)} == names - {"bedrock"}


def test_the_programs_are_short() -> None:
    """A program has at most twelve lines that are not empty, none of them longer than a page is wide."""
    programs = [block.code for block in blocks(PAGE, "python")]

    assert max(len(list(filter(None, program.splitlines()))) for program in programs) <= 12
    assert max(len(line) for program in programs for line in program.splitlines()) <= 88


def test_a_recording_that_is_gone_is_reported() -> None:
    with pytest.raises(
        pytest.fail.Exception, match=r"the quickstart nothere needs one recording, docs/guides/quickstarts/"
    ):
        recording_of("nothere")


def _openai_url() -> object:
    return needed("openai").OpenAI(api_key=KEY, base_url=None).base_url


def _anthropic_url() -> object:
    return needed("anthropic").Anthropic(api_key=KEY).base_url


def _gemini_url() -> object:
    client = needed("google.genai").Client(api_key=KEY)
    try:
        return client._api_client._http_options.base_url  # noqa: SLF001 - told nowhere else
    finally:
        client.close()


def _mistral_url() -> object:
    return needed("mistralai.client").Mistral(api_key=KEY).sdk_configuration.get_server_details()[0]


def _ollama_url() -> object:
    client = needed("ollama").Client()._client  # noqa: SLF001 - told nowhere else
    return str(client.base_url).replace("127.0.0.1", "localhost")


# google-genai makes a class of aiohttp's, where that is installed, of which aiohttp warns.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("openai-chat", _openai_url),
        ("openai-responses", _openai_url),
        ("anthropic", _anthropic_url),
        ("gemini", _gemini_url),
        ("mistral", _mistral_url),
        ("ollama", _ollama_url),
    ],
)
def test_the_address_is_that_of_the_providers_own_library(
    name: str, url: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider's SDK asks at the same address as the quickstart."""
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(variable, raising=False)
    (quickstart,) = [each for each in QUICKSTARTS if each.name == name]

    assert (quickstart.url + quickstart.path).startswith(str(url()).rstrip("/") + "/")
