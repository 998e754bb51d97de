"""A real A2A server with a scripted agent, which needs no network: the SDK's own, in 1.0 and 0.3."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.packages import needed

_URL = "http://agent.test"


def make_app() -> Any:
    """Return the server's application, over JSON-RPC at "/" and over HTTP below "/rest"."""
    applications, handlers = needed("starlette.applications"), needed("a2a.server.request_handlers")
    jsonrpc, rest = needed("a2a.server.routes.jsonrpc_routes"), needed("a2a.server.routes.rest_routes")
    tasks = needed("a2a.server.tasks")
    handler = handlers.DefaultRequestHandler(
        agent_executor=_make_agent(), task_store=tasks.InMemoryTaskStore(), agent_card=_card()
    )
    return applications.Starlette(
        routes=[
            *jsonrpc.create_jsonrpc_routes(handler, "/", enable_v0_3_compat=True),
            *rest.create_rest_routes(handler, path_prefix="/rest", enable_v0_3_compat=True),
        ]
    )


def http_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(make_app()), base_url=_URL)


def client_of(http: httpx.AsyncClient) -> Any:
    client = needed("a2a.client")
    return client.ClientFactory(client.ClientConfig(httpx_client=http)).create(_card())


def ask(question: str, wire: str) -> dict[str, Any]:
    """Return the arguments of `aconnect` for a question, in one of the versions and bindings."""
    version, _, binding = wire.partition("-")
    is_old = version == "0.3"
    message: dict[str, Any] = {"messageId": "m-1", "role": "user" if is_old else "ROLE_USER"}
    if is_old and not binding:
        message |= {"kind": "message", "parts": [{"kind": "text", "text": question}]}
    else:
        message |= {"role": "ROLE_USER", "content" if is_old else "parts": [{"text": question}]}
    url = f"{_URL}/"
    body: dict[str, Any] = {"request" if is_old and binding else "message": message}
    if binding:
        url = f"{_URL}/rest{'/v1' if is_old else ''}/message:stream"
    else:
        method = "message/stream" if is_old else "SendStreamingMessage"
        body = {"jsonrpc": "2.0", "id": "r-1", "method": method, "params": body}
    return {"url": url, "json": body, "headers": {"A2A-Version": version}}


def _card() -> Any:
    pb2 = needed("a2a.types.a2a_pb2")
    return pb2.AgentCard(
        name="Weather",
        capabilities=pb2.AgentCapabilities(streaming=True),
        supported_interfaces=[
            pb2.AgentInterface(url=f"{_URL}/", protocol_binding="JSONRPC", protocol_version="1.0")
        ],
    )


def _make_agent() -> Any:
    """Return an agent whose answer depends on the question."""
    execution, tasks = needed("a2a.server.agent_execution"), needed("a2a.server.tasks")
    pb2 = needed("a2a.types.a2a_pb2")

    class Agent(execution.AgentExecutor):  # type: ignore[misc, name-defined]
        """Says that it looks, then answers in the way that the question names."""

        async def cancel(self, context: Any, event_queue: Any) -> None:
            raise NotImplementedError

        async def execute(self, context: Any, event_queue: Any) -> None:
            question = context.get_user_input()
            updater = tasks.TaskUpdater(event_queue, context.task_id, context.context_id)

            def say(text: str) -> Any:
                return updater.new_agent_message([pb2.Part(text=text)])

            if question == "message":
                message = pb2.Message(
                    message_id="m-2", role=pb2.Role.ROLE_AGENT, parts=[pb2.Part(text="Hello at once.")]
                )
                await event_queue.enqueue_event(message)
                return
            submitted = pb2.TaskStatus(state=pb2.TaskState.TASK_STATE_SUBMITTED)
            await event_queue.enqueue_event(
                pb2.Task(id=context.task_id, context_id=context.context_id, status=submitted)
            )
            await updater.start_work(say("Looking it up …"))
            ends = {
                "status": (updater.complete, "Only in the status."),
                "input": (updater.requires_input, "In which town?"),
                "fail": (updater.failed, "The weather service is down."),
                "reject": (updater.reject, "I do not do that."),
            }
            if question in ends:
                end, text = ends[question]
                await end(say(text))
                return
            await updater.add_artifact([pb2.Part(text="Oslo is ")], "a1", "report", metadata={"unit": "C"})
            await updater.add_artifact([pb2.Part(text="sunny, ")], "a1", append=True)
            await updater.add_artifact([pb2.Part(text="today.")], "a1", append=True, last_chunk=True)
            if question == "stray":
                await updater.add_artifact([pb2.Part(text="?")], "a9", append=True)
            await updater.complete()

    return Agent()
