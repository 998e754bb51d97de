"""The providers' own SDKs hold sessions with the server that tests start."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.packages import needed
from tokenstream import AsyncStream, Stream, testing
from tokenstream.testing import Server, faults

openai: Any = needed("openai")
genai: Any = needed("google.genai")
needed("websockets")

pytestmark = [
    # The openai SDK opens its connection outside a block.
    pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning"),
    pytest.mark.anyio,
]
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])

CALL = testing.script().text("Let me see.").tool_call("now", {"zone": "CET"}).finish()
TOLD = testing.script().text("It is ", "noon.").usage(input_tokens=3, output_tokens=4).finish()
PAUSED = testing.script().text("Once").silence(60).text(" upon", " a time").finish()
USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What time is it?"}]}
TURN = {"role": "user", "parts": [{"text": "What time is it?"}]}


def sync_client(server: Server) -> Any:
    return openai.OpenAI(api_key="k", websocket_base_url=f"{server.ws_url}/v1")


def async_client(server: Server) -> Any:
    return openai.AsyncOpenAI(api_key="k", websocket_base_url=f"{server.ws_url}/v1")


def result_of(call_id: str) -> dict[str, str]:
    return {"type": "function_call_output", "call_id": call_id, "output": "12:00"}


def test_openai_realtime_calls_a_tool_and_tells_its_result() -> None:
    with (
        testing.serve([CALL, TOLD], sessions=True) as server,
        sync_client(server) as client,
        client.realtime.connect(model="m") as connection,
    ):
        connection.session.update(session={"type": "realtime", "instructions": "Be brief"})
        connection.conversation.item.create(item=USER)
        connection.response.create()
        texts: list[str] = []
        kinds: set[str] = set()
        for event in connection:
            kinds.add(event.type)
            if event.type == "response.output_text.done":
                texts.append(event.text)
            if event.type == "response.done":
                calls = [item for item in event.response.output if item.type == "function_call"]
                if not calls:
                    break
                connection.conversation.item.create(item=result_of(calls[0].call_id))
                connection.response.create()
        sent = [each["type"] for each in server.exchanges[0].received_json if isinstance(each, dict)]

    assert texts == ["Let me see.", "It is noon."]
    assert {"session.created", "session.updated", "conversation.item.added"} <= kinds
    create, ask = "conversation.item.create", "response.create"
    assert sent == ["session.update", create, ask, create, ask]


@on_asyncio
async def test_openai_realtime_is_interrupted() -> None:
    """The late events end with the cancelled response; the audio is cut to what was heard."""
    speech = testing.script().media(bytes(4800), "audio/pcm").silence(60).text("Never").finish()
    late = PAUSED.recording("openai-realtime").with_fault(faults.late(2))
    async with (
        testing.serve([late, speech, TOLD], sessions=True, pace="recorded") as server,
        async_client(server) as client,
        client.realtime.connect(model="m") as connection,
    ):
        told: list[str] = []
        statuses: list[str] = []
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_text.delta":
                told.append(event.delta)
                if event.delta == "Once":
                    await connection.response.cancel()
            if event.type == "response.output_audio.delta":
                await connection.response.cancel()
                await connection.conversation.item.truncate(
                    item_id=event.item_id, content_index=0, audio_end_ms=40
                )
            if event.type == "conversation.item.truncated":
                told.append(f"{event.audio_end_ms} ms")
                await connection.response.create()
            if event.type == "response.done":
                statuses.append(event.response.status)
                if len(statuses) == 3:
                    break
                if len(statuses) == 1:
                    await connection.response.create()

    assert told == ["Once", " upon", " a time", "40 ms", "It is ", "noon."]
    assert statuses == ["cancelled", "cancelled", "completed"]


@pytest.mark.slow
def test_openai_responses_continues_a_response_over_its_socket() -> None:
    with (
        testing.serve([CALL, TOLD], sessions=True) as server,
        sync_client(server) as client,
        client.responses.connect() as connection,
    ):
        connection.response.create(model="m", input="What time is it?", previous_response_id="resp_lost")
        assert connection.recv().error.code == "previous_response_not_found"
        connection.response.create(model="m", input="What time is it?")
        responses: list[Any] = []
        for event in connection:
            if event.type == "response.completed":
                responses.append(event.response)
                if len(responses) == 2:
                    break
                call = event.response.output[-1]
                connection.response.create(
                    model="m", previous_response_id=event.response.id, input=[result_of(call.call_id)]
                )

    assert responses[1].output_text == "It is noon."
    assert responses[1].previous_response_id == responses[0].id


@on_asyncio
async def test_the_lanes_of_openais_session_work() -> None:
    """The SDK routes each response to the lane that has asked for it."""
    sessions = needed("openai.lib.responses_websocket")
    limits = sessions.ResponsesWebSocketLimits(
        max_lanes=3,
        max_events_per_lane=99,
        max_events=999,
        max_bytes_per_lane=1 << 20,
        max_bytes=1 << 20,
        max_response_bytes=None,
    )
    async with (
        testing.serve([CALL, TOLD], sessions=True) as server,
        async_client(server) as client,
        client.responses.connect() as connection,
        sessions.AsyncResponsesWebSocketSession(connection, limits=limits) as session,
    ):
        lanes = [session.lane("a"), session.lane("b")]
        for lane in lanes:
            await lane.send({"type": "response.create", "model": "m", "input": "Hi"})
        texts = [(await lane.get_final_response()).output_text for lane in lanes]

    assert texts == ["Let me see.", "It is noon."]


def test_our_stream_reads_openais_session_from_the_server() -> None:
    with (
        testing.serve([TOLD, PAUSED, CALL], sessions=True, pace="recorded") as server,
        sync_client(server) as client,
        client.realtime.connect(model="m") as connection,
    ):
        endings: list[tuple[str, str | None]] = []
        connection.response.create()
        with Stream(connection) as stream:
            for response in stream.responses:
                for piece in response.text:
                    if piece == "Once":
                        connection.response.cancel()
                endings.append((response.message.text, response.message.finish_reason))
                if len(endings) == 3:
                    break
                connection.response.create()

    assert endings == [("It is noon.", "stop"), ("Once", "cancelled"), ("Let me see.", "tool_calls")]


def gemini(server: Server) -> Any:
    options = {"base_url": server.url, "async_client_args": {"ssl": server.client_context}}
    return genai.Client(api_key="k", http_options=options)


@on_asyncio
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
async def test_gemini_live_calls_a_tool_is_interrupted_and_resumed() -> None:
    answers = [CALL, TOLD, PAUSED, TOLD]
    async with testing.serve(answers, sessions=True, tls=True, pace="recorded") as server:
        live = gemini(server).aio.live
        config: dict[str, Any] = {"response_modalities": ["TEXT"], "session_resumption": {}}
        texts: list[str] = []
        async with live.connect(model="m", config=config) as session:
            await session.send_client_content(turns=TURN, turn_complete=True)
            async for message in session.receive():
                texts.append(message.text or "")
                for call in message.tool_call.function_calls if message.tool_call else ():
                    result = {"id": call.id, "name": call.name, "response": {"time": "12:00"}}
                    await session.send_tool_response(function_responses=[result])
            await session.send_client_content(turns=TURN, turn_complete=True)
            interrupted = False
            async for message in session.receive():
                if message.text == "Once":
                    await session.send_realtime_input(activity_start={})
                if message.server_content and message.server_content.interrupted:
                    interrupted = True
                if message.session_resumption_update:
                    config["session_resumption"] = {"handle": message.session_resumption_update.new_handle}
        async with live.connect(model="m", config=config) as session:
            await session.send_client_content(turns=TURN, turn_complete=True)
            async with AsyncStream(session) as stream:
                async for response in stream.responses:
                    texts.append((await response.final()).text)
                    break

    assert ("".join(texts), interrupted) == ("Let me see.It is noon.It is noon.", True)
    assert config["session_resumption"]["handle"]
