"""Calls of tools of an MCP server: their progress, their results, and what the server asks."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from tokenstream import Peer, Steps
from tokenstream.errors import StreamTruncated
from tokenstream.events import StepUpdate

_SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    def send(**message):
        print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
    if asked.get("method") == "initialize":
        send(id=asked["id"], result={"protocolVersion": "2025-11-25", "serverInfo": {"name": "t"}})
    elif asked.get("method") == "tools/call":
        token = asked["params"]["_meta"]["progressToken"]
        for done in (1, 2):
            news = {"progressToken": token, "progress": done, "total": 2}
            send(method="notifications/progress", params=news)
        failed = asked["params"]["name"] == "fail"
        send(id=asked["id"], result={"content": [{"type": "text", "text": "7 files"}], "isError": failed})
"""
_PROGRESS = {
    "method": "notifications/progress",
    "params": {"progressToken": "p", "progress": 1, "message": "half"},
}
_RESULT = {"id": 3, "result": {"content": [{"type": "text", "text": "done"}], "isError": False}}


def test_calls_of_a_real_process_are_turns_with_their_progress() -> None:
    """The client asks, the run grows: each call is a turn, and its tool a step."""
    command = [sys.executable, "-c", _SERVER]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        Peer(process.stdout, process.stdin) as peer,
        Steps("mcp") as run,
    ):
        peer.ask("initialize", protocolVersion="2025-11-25")
        for name in ("count", "fail"):
            call = peer.begin("tools/call", name=name, arguments={"path": "."}, _meta={"progressToken": name})
            list(run.follow(peer, until=call))
        assert process.stdin is not None
        process.stdin.close()

    news = [event.data["progress"] for event in run.events().ready() if isinstance(event, StepUpdate)]
    assert [(turn.state, turn.result) for turn in run.turns] == [("done", "7 files"), ("failed", "7 files")]
    assert [step.name for turn in run.turns for step in turn.step.steps] == ["count", "fail"]
    assert run.turns[0].step.steps[0].cause is not None
    assert run.turns[0].step.steps[0].cause.arguments == {"path": "."}
    assert news == [1, 2, 1, 2]


@pytest.mark.parametrize("form", ["lines", "SSE"])
def test_the_body_of_a_response_is_one_call(form: str) -> None:
    """Streamable HTTP answers a call with its progress and its result, and does not repeat the request."""
    messages = [_PROGRESS, _RESULT, _RESULT]
    with Steps() as run:
        before, after = ("", "\n") if form == "lines" else ("event: message\ndata: ", "\n\n")
        body = "".join(f"{before}{json.dumps(each)}{after}" for each in messages)
        list(run.follow(io.StringIO(body)))
    (turn,) = run.turns
    (tool,) = turn.step.steps

    assert (run.agent, turn.state, turn.result) == ("mcp", "done", "done")
    assert tool.updates == {"progress": {"type": "progress", "progress": 1, "message": "half"}}


def test_a_body_that_ends_before_the_result_is_cut() -> None:
    """The newest version of the protocol has no resumption: the call is lost, and the error says so."""
    with Steps() as run, pytest.raises(StreamTruncated):
        list(run.follow([json.dumps(_PROGRESS)]))

    assert run.turns[0].state == "failed"


def test_an_error_of_the_protocol_fails_the_call() -> None:
    """A wrong name of a tool is no result."""
    error = {"id": 3, "error": {"code": -32602, "message": "Unknown tool"}}
    with Steps() as run:
        list(run.follow([json.dumps(_PROGRESS), json.dumps(error)]))

    assert run.turns[0].state == "failed"
    assert "Unknown tool" in str(run.turns[0].error)
