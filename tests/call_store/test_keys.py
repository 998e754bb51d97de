"""Keys of tool calls: the same call has the same key wherever its answer is read, another has another."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.call_store.places import calling
from tests.formats.openai_responses import payloads as responses
from tests.support.asgi import Client
from tests.support.wire import sse
from tokenstream import AsyncStream, Job, Retry, Stream, ToolCall, connect, relay, resilient
from tokenstream.errors import MisuseError, StreamError
from tokenstream.events import ToolCallDone
from tokenstream.message import Checkpoint
from tokenstream.relay import MemoryJournal
from tokenstream.testing import script, serve

chat = partial(calling, id="chatcmpl-AXy2Zk81LmP0")


def keys(source: Any, **options: Any) -> list[str]:
    return [call.key for call in Stream(source, **options).tool_calls]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('{ "days": 1,  "city": "Oslo" }', True),
        ('{"city":"\\u004fslo","days":1}', True),
        ('{"city": "Oslo", "days": 2}', False),
        ('{"city": "Oslo", "days": "1"}', False),
        ('{"city": "Oslo", "days": true}', False),
        ('{"city": "Oslo"}', False),
    ],
)
def test_arguments_count_as_json(text: str, same: bool) -> None:
    """Spaces, escapes and the order of the fields say nothing; values do."""
    assert same == (keys(chat(("go", '{"city": "Oslo", "days": 1}'))) == keys(chat(("go", text))))


def test_another_name_answer_or_id_of_the_caller_gives_another_key() -> None:
    body = chat(("go", "{}"))
    others = [keys(chat(("stop", "{}"))), keys(chat(("go", "{}"), id="chatcmpl-other-answer"))]

    assert 4 == len({tuple(each) for each in (*others, keys(body), keys(body, job="turn 7"))})


def test_without_an_id_each_reading_has_keys_of_its_own_unless_the_caller_names_the_answer() -> None:
    """Chance tells answers apart that no id tells apart."""
    body = chat(("go", "{}"), id=None)

    assert keys(body) != keys(body)
    assert keys(body, job="turn 7") == keys(body, job="turn 7")


@pytest.mark.parametrize("job", ["", 7, b"x"])
def test_the_id_of_a_job_is_a_text(job: Any) -> None:
    with pytest.raises(MisuseError, match="job= takes an id of yours"):
        Stream([b""], job=job)


def test_events_message_views_copies_and_checked_calls_have_the_same_key() -> None:
    """The key belongs to the call, wherever it is read, and is not part of its content."""
    body = chat(("go", '{"city": "Oslo"}'), ("go", '{"city": "Oslo"}'))
    stream = Stream(body)
    events = [event.call for event in stream if isinstance(event, ToolCallDone)]
    expected = [call.key for call in events]

    assert expected == [call.key for call in stream.message.tool_calls]
    assert expected == [call.key for call in stream.tool_calls]
    assert expected == [call.key for call in stream.validated_calls(go=dict[str, str])]
    assert expected == [pickle.loads(pickle.dumps(call)).key for call in events]
    assert expected == [copy.deepcopy(call).key for call in events]
    assert events[0] == ToolCall.model_validate_json(events[0].model_dump_json())
    assert "" == ToolCall(name="go").key


@pytest.mark.parametrize("how", ["stream", "resilient", "connect", "connect_retry"])
def test_the_callers_id_may_be_given_wherever_a_stream_is_opened(how: str) -> None:
    answer = script().tool_call("go", {}).finish("tool_calls")
    body = answer.chunks("openai-chat")
    expected = keys(body, job="turn 7")

    with serve(answer, format="openai-chat") as server:
        url = server.url
        opened: dict[str, Callable[[], Stream]] = {
            "stream": lambda: Stream(body, job="turn 7"),
            "resilient": lambda: resilient(lambda: body, job="turn 7"),
            "connect": lambda: connect(url, json={}, job="turn 7"),
            "connect_retry": lambda: connect(url, json={}, retry=Retry(), job="turn 7"),
        }
        with opened[how]() as stream:
            assert expected == [call.key for call in stream.tool_calls]


def test_a_restarted_answer_has_the_keys_of_the_first_attempt() -> None:
    first = chat(("go", "{}"), ("go", "{}"))
    again = chat(("go", "{}"), ("go", "{}"), ("end", "{}"), id="chatcmpl-anew")
    bodies = [first[:2], again]

    stream = resilient(lambda: bodies.pop(0), Retry(again=True, wait=0))

    assert keys(first)[:2] == [call.key for call in stream.tool_calls][:2]
    assert keys(first) == [call.key for call in stream.message.tool_calls][:2]
    assert "chatcmpl-anew" == stream.message.id


@pytest.mark.parametrize("named", [True, False])
def test_a_checkpoint_at_any_place_keeps_the_keys(named: bool) -> None:
    payloads = responses.answer(*responses.remove(0), *responses.remove(1, id="fc_2", call_id="call_2"))
    events = [sse(each, event=each["type"]) for each in payloads]
    options: dict[str, Any] = {"job": "turn 7"} if named else {}
    whole = Stream(events, **options)
    whole.final()
    expected = [call.key for call in whole.message.tool_calls]

    for count in range(1, len(events)):
        begun = Stream(events[:count], **options)
        with pytest.raises(StreamError):
            begun.final()
        stored = Checkpoint.model_validate_json(begun.checkpoint().model_dump_json())
        rest = Stream(events[count:], job=Job("turn 7", checkpoint=stored))
        rest.final()
        assert expected == [call.key for call in rest.message.tool_calls]


def test_a_checkpoint_of_an_answer_without_an_id_keeps_its_chance() -> None:
    """The random identity goes along, once a call has ended under it."""
    payloads = [
        {key: value for key, value in each.items() if key != "response"}
        for each in responses.answer(*responses.remove())
    ]
    events = [sse(each, event=each["type"]) for each in payloads[:-1]]
    begun = Stream(events, format="openai-responses")
    with pytest.raises(StreamError):
        begun.final()
    [call] = begun.message.tool_calls
    assert begun.checkpoint().identity is None
    assert call.key
    kept = begun.checkpoint()

    assert kept.identity is not None
    assert "random" == kept.identity.kind
    with Stream([], job=Job("job", checkpoint=kept)) as rest:
        assert [call.key] == [each.key for each in rest.message.tool_calls]
        rest.close()


@pytest.mark.anyio
@pytest.mark.parametrize("protocol", ["tokenstream", "ui-message", "openai-chat", "anthropic"])
async def test_followers_of_a_journal_have_the_keys_of_its_producer(protocol: Any) -> None:
    body = (
        script()
        .text("Let me")
        .tool_call("go", {"n": 1})
        .tool_call("go", {"n": 1})
        .finish("tool_calls")
        .chunks("openai-chat")
    )
    async with MemoryJournal() as journal:
        source = AsyncStream(body, job="of the caller")
        id = await journal.start(source)
        client = Client(method="GET")
        await client.call(relay.follow(journal, id, protocol=protocol))
        produced = [call.key for call in source.message.tool_calls]

    response = httpx.Response(200, headers=client.headers, content=client.body)
    assert produced == [call.key for call in Stream(response).tool_calls]
    assert 2 == len(set(produced))


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(['{"n":1}', '{"n": 1}', '{"n":2}'])), max_size=8
    )
)
def test_a_key_is_as_unique_as_its_place_among_equal_calls(calls: list[tuple[str, str]]) -> None:
    """However calls repeat, no two of an answer share a key, and equal ones are numbered from the first."""
    found = keys(chat(*calls))

    assert len(calls) == len(set(found))
    for count in range(len(calls)):
        assert found[:count] == keys(chat(*calls[:count]))
