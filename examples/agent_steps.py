"""Follow an agent while it works: its answers, its tools, and two helpers in parallel.

A local server plays all the models. One task runs the agents, and another one shows
what happens, as a web page could.
"""

import asyncio
import sys

from tokenstream import (
    Router,
    StepDone,
    Steps,
    StepStart,
    TextDelta,
    ToolCall,
    aconnect,
    testing,
)
from tokenstream.testing import faults

SCRIPT = testing.script()
PLAN = SCRIPT.text("I ask ", "two others.").tool_call("ask", {"about": "the weather"})
ANSWERS = {
    "plan": PLAN.tool_call("ask", {"about": "the museums"}).finish("tool_calls"),
    "the weather": SCRIPT.tool_call("look_up", {"city": "Oslo"}).finish("tool_calls"),
    "the museums": SCRIPT.text("The ship ", "is ", "always ", "dry.").finish(),
    "write": SCRIPT.text("Take ", "a raincoat, ", "and see ", "the ship.").finish(),
}


def answer(request: testing.Request) -> testing.Script:
    """Answer as a model would."""
    return ANSWERS[request.json["messages"][0]["content"]]


async def agents(run: Steps, url: str) -> None:
    """Plan, let two helper agents work in parallel, and write the result."""
    router = Router()

    @router.tool
    def look_up(city: str) -> str:
        return f"rain in {city}"

    async def ask(
        about: str, agent: str, cause: ToolCall | None = None
    ) -> tuple[ToolCall, ...]:
        payload = {"messages": [{"role": "user", "content": about}], "stream": True}
        with run.step(about, agent=agent, cause=cause) as step:
            async with step.follow(aconnect(url, json=payload)) as stream:
                await stream.run(router)
            return stream.message.tool_calls

    calls = await ask("plan", "planner")
    async with asyncio.TaskGroup() as tasks:
        for call in calls:
            tasks.create_task(ask(call.arguments["about"], "helper", call))
    await ask("write", "planner")


async def show(run: Steps) -> None:
    """Print each event of the run with its step."""
    names: dict[str | None, str] = {}
    async for event in run.events():
        match event:
            case StepStart(id, name, agent=agent):
                names[id] = f"{agent}: {name}"
                print(f"{names[id]:20} begins")
            case TextDelta(text):
                print(f"{names[event.step]:20} {text}")
            case StepDone(id, state):
                print(f"{names[id]:20} {state}")
            case _:
                pass


async def main(url: str) -> None:
    """Run the agents, show what they do, and print the tree."""
    run = Steps("a rainy day")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(show(run))
        with run:
            await agents(run, url)
    print(f"\n{run}")


# Print a question mark for a character that the terminal's encoding lacks.
if reconfigure := getattr(sys.stdout, "reconfigure", None):
    reconfigure(errors="replace")
with testing.serve(answer, fault=faults.slow(0.01)) as server:
    asyncio.run(main(f"{server.url}/v1/chat/completions"))
