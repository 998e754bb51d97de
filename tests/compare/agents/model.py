"""Scripted models that the real coding agents ask in place of their providers'."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

from tokenstream import testing
from tokenstream.testing import Recording, Request, Script, faults

_SHELLS = ("Bash", "bash", "exec_command", "shell_command", "shell", "run_shell_command")
"""The names of the tool that runs a command, in the agents."""
PLANS = (
    (("Look", "in_progress"), ("Say", "pending")),
    (("Look", "completed"), ("Say", "in_progress")),
    (("Look", "completed"), ("Say", "completed")),
)
"""The plans of `a_plan`: the tasks with their states, as they follow each other."""
_DELEGATES = ("Task", "task", "Agent")
"""The names of the tool that begins a subagent."""
_numbers = itertools.count(1)
"""The numbers from which ids are made, which no two answers share."""


def two_commands(request: Request) -> Script | Recording:
    """Answer with two commands; once their results are in the request, with an answer."""
    tools = _tools_of(request)
    if not tools:
        # A request beside the answer, such as for a title.
        return _answer_beside(request)
    if _has_results(request):
        return _say("It said ", "hello.", tokens=(300, 9)).finish("stop")
    # Only Anthropic's API has a signature, and a reader insists on it.
    signature = "c2ln" if "messages" in request.path else None
    script = (
        _begin((100, 20)).reasoning("Let me think.", signature=signature).text("I will run two commands.")
    )
    script = _call(script, *_command(tools, "echo hello"))
    if "run_shell_command" in tools:
        # Gemini CLI calls a command that fails a success, but not a file that is missing.
        return _call(script, "read_file", {"file_path": "nope.txt"}).finish("tool_calls")
    return _call(script, *_command(tools, "ls /nope")).finish("tool_calls")


def one_slow_command(request: Request) -> Script | Recording:
    """Run a command that takes its time; then answer, and say so if the user has said something meanwhile."""
    tools = _tools_of(request)
    if not tools:
        return _answer_beside(request)
    if _has_results(request):
        has_heard = "BE BRIEF" in json.dumps(_turns_of(request))
        return _say("Briefly: " if has_heard else "At length: ", "hello.", tokens=(300, 9)).finish("stop")
    # Only Anthropic's API has a signature, and a reader insists on it. Without reasoning, both texts would
    # have the same id in OpenAI's.
    signature = "c2ln" if "messages" in request.path else None
    script = _begin((100, 20)).reasoning("Let me think.", signature=signature).text("I look.")
    return _call(script, *_command(tools, "sleep 2; echo hello")).finish("tool_calls")


def one_subagent(request: Request, *names: str) -> Script | Recording:
    """Answer with calls of subagents, each of which runs a command; then with an answer."""
    tools, text = _tools_of(request), json.dumps(_turns_of(request))
    if not tools:
        return _answer_beside(request)
    if "MAINTASK" not in text:
        if _has_results(request):
            return _say("Sub ", "result: 7", tokens=(50, 5)).finish("stop")
        return _call(_say("Sub looks.", tokens=(40, 4)), *_command(tools, "echo sub")).finish("tool_calls")
    if _has_results(request):
        return _say("The answer ", "is 7.", tokens=(300, 9)).finish("stop")
    script = _say("I delegate.", tokens=(100, 20))
    tool = next(each for each in _DELEGATES if each in tools)
    for name in names or ("look",):
        arguments = {"description": name, "prompt": f"SUBTASK {name}"}
        if "view" in tools:  # of Copilot CLI
            arguments |= {"agent_type": "explore", "name": name, "mode": "sync"}
        else:
            arguments["subagent_type"] = "general" if tool == "task" else "general-purpose"
        script = _call(script, tool, arguments)
    return script.finish("tool_calls")


def two_subagents(request: Request) -> Script | Recording:
    return one_subagent(request, "one", "two")


def a_plan(request: Request) -> Script | Recording:
    """Make a plan of two tasks, change it twice, then answer."""
    tools = _tools_of(request)
    if not tools:
        return _answer_beside(request)
    done = json.dumps(_turns_of(request)).count('"function_call_output"')
    if done == len(PLANS):
        return _say("It is ", "done.", tokens=(300, 9)).finish("stop")
    tasks = [{"step": step, "status": status} for step, status in PLANS[done]]
    return _call(_begin((100, 20)), "update_plan", {"plan": tasks}).finish("tool_calls")


def broken_once() -> Callable[[Request], Script | Recording]:
    """Return a model whose first answer breaks off in its middle."""
    answers = itertools.count()

    def answer(request: Request) -> Script | Recording:
        if not _tools_of(request):
            return _answer_beside(request)
        if next(answers):
            return _say("The whole ", "answer.", tokens=(20, 5)).finish("stop")
        format = _format_of(request)
        half = _say("Half ", "an ", "answer.", tokens=(10, 4)).finish("stop")
        return half.recording(format).with_fault(faults.cut(event=2 if format == "gemini" else 5))

    return answer


def at_limit(request: Request) -> Script | Recording:
    """Answer with a text that ends at the limit of tokens for an answer."""
    if not _tools_of(request):
        return _answer_beside(request)
    return _say("The answer ", "is cut", tokens=(20, 5)).finish("length")


def refuse(request: Request) -> Recording:
    if _format_of(request) == "gemini":
        error = {"code": 400, "message": "no credit", "status": "INVALID_ARGUMENT"}
    else:
        error = {"type": "invalid_request_error", "message": "no credit", "code": "invalid_prompt"}
    body = json.dumps({"type": "error", "error": error}).encode()
    return Recording.of([body], status=400, headers={"content-type": "application/json"})


def _begin(tokens: tuple[int, int]) -> Script:
    """Return the beginning of an answer, with the counts of its input and output tokens."""
    script = testing.script(id=f"msg_{next(_numbers)}", model="claude-sonnet-4-5")
    return script.usage(input_tokens=tokens[0], output_tokens=tokens[1])


def _say(*pieces: str, tokens: tuple[int, int]) -> Script:
    """Return the beginning of an answer with a text in pieces."""
    return _begin(tokens).text(*pieces)


def _call(script: Script, name: str, arguments: dict[str, Any]) -> Script:
    """Add the call of a tool to an answer."""
    return script.tool_call(name, arguments, id=f"call_{next(_numbers)}")


def _body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request; an empty one without any."""
    try:
        body = request.json
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _format_of(request: Request) -> str:
    formats = {"generateContent": "gemini", "streamGenerateContent": "gemini", "messages": "anthropic"}
    return next((format for word, format in formats.items() if word in request.path), "openai-responses")


def _tools_of(request: Request) -> set[str]:
    tools = _body_of(request).get("tools") or []
    # Gemini's API has the tools in groups.
    tools = [each for tool in tools for each in tool.get("functionDeclarations", [tool])]
    return {str(tool.get("name")) for tool in tools}


def _turns_of(request: Request) -> Any:
    body = _body_of(request)
    return body.get("messages") or body.get("input") or body.get("contents") or []


def _has_results(request: Request) -> bool:
    text = json.dumps(_turns_of(request))
    return any(f'"{word}"' in text for word in ("tool_result", "function_call_output", "functionResponse"))


def _command(tools: set[str], command: str) -> tuple[str, dict[str, Any]]:
    name = next(each for each in _SHELLS if each in tools)
    if name == "exec_command":
        return name, {"cmd": command}
    return name, {"command": command, "description": "run it"}


def _answer_beside(request: Request) -> Script | Recording:
    """Answer a request that is not for the answer itself, also without a stream."""
    if _body_of(request).get("stream"):
        return _say("ok", tokens=(1, 1)).finish("stop")
    message = {
        "id": "msg_side",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
        "input_tokens": 1,
    }
    return Recording.of([json.dumps(message).encode()], headers={"content-type": "application/json"})
