"""What each library does with an answer that breaks off, as the table of a page says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from pydantic import BaseModel

from tests.docs.pages import WARNS
from tests.project import ROOT
from tests.support.packages import needed
from tokenstream import connect, testing
from tokenstream._providers.apis import ScriptFormat
from tokenstream.testing import faults

pytestmark = [
    pytest.mark.slow,
    pytest.mark.leaves_behind("a library may keep a connection that broke"),
    pytest.mark.filterwarnings(*WARNS["docs/guides/coming-from/frameworks.md#litellm"]),
]

_PAGE = (ROOT / "docs" / "guides" / "coming-from" / "providers.md").read_text(encoding="utf-8")
_ROWS = {
    cells[0]: cells[1:]
    for cells in re.findall(r"^\| ([\w-]+) \| (.+) \| (.+) \| (.+) \|$", _PAGE, re.MULTILINE)
    if cells[0] != "library"
}
_MESSAGES = [{"role": "user", "content": "Will it rain in Oslo?"}]
_REQUEST = {"model": "m", "messages": _MESSAGES, "stream": True}
_HALF = '{"city": "Oslo", "days": 1'
_ANSWER = testing.script(model="m").text("Let me look.").tool_call("Weather", (_HALF, "0}")).finish()
_OLDER = {("LangChain", "OpenAIConnectionError"): "RemoteProtocolError"}
"""What is raised with an older release of OpenAI's SDK."""


class Weather(BaseModel):
    city: str
    days: int


def _anthropic(url: str) -> object:
    client = needed("anthropic").Anthropic(base_url=url, api_key="made-up", max_retries=0)
    with client, client.messages.stream(model="m", messages=_MESSAGES, max_tokens=9) as helper:
        return helper.get_final_message().content[-1].input


def _google(url: str) -> object:
    client = needed("google.genai").Client(api_key="made-up", http_options={"base_url": url})
    chunks = list(client.models.generate_content_stream(model="m", contents="?"))
    return [call for chunk in chunks for call in chunk.function_calls or ()] or None


def _arguments(payloads: Iterator[str | bytes]) -> str:
    """Return the arguments in the payloads of an answer, read as programs without an SDK do."""
    deltas = [json.loads(payload)["choices"][0]["delta"] for payload in payloads]
    return "".join(call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ()))


def _requests(url: str) -> object:
    with needed("requests").post(f"{url}/v1/chat/completions", json=_REQUEST, stream=True) as response:
        return _arguments(line[6:] for line in response.iter_lines() if line.startswith(b"data: "))


def _httpx_sse(url: str) -> object:
    httpx, httpx_sse = needed("httpx"), needed("httpx_sse")
    with (
        httpx.Client() as client,
        httpx_sse.connect_sse(client, "POST", f"{url}/v1/chat/completions", json=_REQUEST) as source,
    ):
        return _arguments(sse.data for sse in source.iter_sse())


def _sseclient(url: str) -> object:
    sseclient = needed("sseclient")
    with needed("requests").post(f"{url}/v1/chat/completions", json=_REQUEST, stream=True) as response:
        return _arguments(event.data for event in sseclient.SSEClient(iter(response)).events())


def _instructor(url: str) -> object:
    instructor = needed("instructor")
    openai = needed("openai").OpenAI(base_url=f"{url}/v1", api_key="made-up", max_retries=0)
    *_, last = instructor.from_openai(openai).create_partial(Weather, messages=_MESSAGES, model="m")
    return last.model_dump()


def _litellm(url: str) -> object:
    litellm = needed("litellm")
    litellm.suppress_debug_info = True
    chunks = litellm.completion(
        "openai/m", _MESSAGES, stream=True, api_base=f"{url}/v1", api_key="made-up", max_retries=0
    )
    return list(chunks)


def _langchain(url: str) -> object:
    chat = needed("langchain_openai").ChatOpenAI
    first, *others = chat(model="m", api_key="made-up", base_url=f"{url}/v1", max_retries=0).stream("?")
    return sum(others, start=first).tool_calls[0]["args"]


def _ours(url: str) -> object:
    with connect(f"{url}/v1/chat/completions", json=_REQUEST) as stream:
        return [call.arguments for call in stream.tool_calls]


_READERS: dict[str, Callable[[str], object]] = {
    "tokenstream": _ours,
    "anthropic": _anthropic,
    "google-genai": _google,
    "requests": _requests,
    "httpx-sse": _httpx_sse,
    "sseclient": _sseclient,
    "instructor": _instructor,
    "litellm": _litellm,
    "LangChain": _langchain,
}
"""How the documentation of a library reads an answer; the page's own program does so with openai."""
_FAULTS: list[Callable[..., faults.Fault]] = [faults.cut, faults.close, faults.error_event]
_FORMATS: dict[str, ScriptFormat] = {"anthropic": "anthropic", "google-genai": "gemini"}
_READ = {"no call": None, "half a call": _HALF, "a whole call": {"city": "Oslo", "days": 1}}


def test_the_table_has_each_library() -> None:
    """A row that nobody tries would be an assertion."""
    assert set(_ROWS) == {*_READERS, "openai"}


@pytest.mark.parametrize("library", _READERS)
def test_a_library_does_with_a_broken_answer_what_the_table_says(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes from a library learns what it does today."""
    # Without it, importing litellm asks a server for a list of prices.
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    events = _ANSWER.chunks(_FORMATS.get(library, "openai-chat"))
    at = next(number for number, event in enumerate(events) if b"days" in event)
    # Gemini sends a call whole, so an answer breaks off before it.
    at += library != "google-genai"
    for fault, cell in zip(_FAULTS, _ROWS[library], strict=True):
        said = cell.partition(":")[0].strip("`")
        with testing.serve(_ANSWER, fault=fault(event=at)) as server:
            assert _outcome(_READERS[library], server.url) in (
                _READ.get(said, said),
                _OLDER.get((library, said), said),
            )


def _outcome(read: Callable[[str], object], url: str) -> object:
    try:
        return read(url)
    except Exception as error:  # noqa: BLE001 - any exception of any library
        return type(error).__name__
