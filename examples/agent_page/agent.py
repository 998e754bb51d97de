"""An agent with tools, some of which run only if the user approves the call."""

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator
from typing import Any

from tokenstream import Event, Steps, ToolCall, Tools, aconnect
from tokenstream.router import ToolFailed
from tokenstream.steps import Step
from tokenstream.turns import ToolResults

BASE = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
MAX_TURNS = 8
NEEDS_APPROVAL = {"delete_note"}
notes = {"milk": "Buy milk.", "taxes": "Send them by May."}
"""The notes with which each user begins."""


def tools_for(own: dict[str, str]) -> Tools:
    """Return the tools of one user, which know the notes of nobody else."""

    def read_notes() -> dict[str, str]:
        """Return all notes of the user, by their titles."""
        return dict(own)

    def delete_note(title: str) -> str:
        """Delete the note with this title."""
        if title not in own:
            raise ToolFailed(f"There is no note with the title {title!r}.")
        del own[title]
        return f"deleted {title}"

    return Tools(read_notes, delete_note)


async def follow(
    run: Steps, messages: list[dict[str, Any]], own: dict[str, str] | None = None
) -> AsyncGenerator[Event]:
    """Yield all that the agent does with the notes; who stops reading, stops it."""
    working = asyncio.create_task(
        work(run, messages, tools_for(dict(notes) if own is None else own))
    )
    try:
        async for event in run.events():
            yield event
        await working
    finally:
        working.cancel()


async def work(run: Steps, messages: list[dict[str, Any]], tools: Tools) -> None:
    """Ask the model and run its tools until it calls none, and keep all turns."""
    request = {
        "model": "gpt-5.5",
        "stream": True,
        "messages": messages,
        "tools": tools.to_openai_chat(),
    }
    with run:
        for _ in range(MAX_TURNS):
            stream = aconnect(f"{BASE}/chat/completions", json=request, headers=HEADERS)
            with run.step("model") as step:
                async with step.follow(stream):
                    calls = [call async for call in stream.validated_calls(tools)]
            values, errors = dict[str, object](), list[str]()
            # All at once: the user may be asked about several calls.
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(run_tool(run, call, values, errors))
            messages += ToolResults(stream.message, values, errors).turns()
            if not calls:
                return
        raise RuntimeError(f"the model still calls tools after {MAX_TURNS} turns")


async def run_tool(
    run: Steps, call: ToolCall, values: dict[str, object], errors: list[str]
) -> None:
    """Run a tool in a step, which shows the result; the model is told of a failure."""
    try:
        with run.step(call) as step:
            if call.error:
                raise ToolFailed(call.error_for_model)
            if call.name in NEEDS_APPROVAL and not await is_approved(step, call):
                raise ToolFailed("The user has denied this call.")
            values[call.id] = step.result = call.run()
    except ToolFailed as failure:
        values[call.id] = str(failure)
        errors.append(call.id)


async def is_approved(step: Step, call: ToolCall) -> bool:
    """Ask the user, and wait for the answer, which comes by `run.reply`."""
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    request = {"type": "approval", "tool": call.name, "arguments": call.arguments}
    step.wait_for(secrets.token_hex(8), request, send=answer.set_result)
    return await answer
