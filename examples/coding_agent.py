"""Show a coding agent's steps: python examples/coding_agent.py TASK [AGENT].

The agent is claude, codex, gemini or opencode, and has to be installed. It works in the
folder in which you start this program.
"""

import shutil
import subprocess
import sys

from tokenstream import StepDone, Steps, StepStart, TextDelta
from tokenstream.errors import StreamError
from tokenstream.steps import RunEvents

COMMANDS = {
    "claude": [
        "claude",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        "-p",
    ],
    "codex": ["codex", "exec", "--json"],
    "gemini": ["gemini", "--output-format", "stream-json", "-p"],
    "opencode": ["opencode", "run", "--format", "json"],
}


def show(news: RunEvents) -> None:
    """Print what has happened since the last call."""
    for event in news.ready():
        match event:
            case StepStart(name=name, cause=cause):
                print(f"\n{name} {cause.arguments_text if cause else ''}")
            case TextDelta(text):
                print(text, end="", flush=True)
            case StepDone(state=state, error=error):
                print(f"\n{state} {error or ''}")
            case _:
                pass


def main(task: str, agent: str = "claude") -> str | None:
    """Follow the agent, print the tree of its steps, and return what went wrong."""
    program = shutil.which(agent)
    if program is None:
        return f"{agent} is not installed, or not in a folder of PATH"
    run, problem = Steps(task), None
    news = run.events()
    command = [program, *COMMANDS[agent][1:], task]
    with (
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as process,
        run,
    ):
        assert process.stdout is not None
        try:
            for _ in run.follow(process.stdout, exit_code=process.wait):
                show(news)
        except StreamError as error:
            problem = f"{type(error).__name__}: {error}"
    show(news)
    print(f"\n{run}")
    for turn in run.turns:
        cost = "" if turn.cost is None else f" for ${turn.cost:.4f}"
        print(f"{turn.state}{cost}: {turn.error or turn.result}")
    return problem


if len(sys.argv) not in (2, 3) or sys.argv[2:3] not in (
    [],
    *([name] for name in COMMANDS),
):
    sys.exit(__doc__)
sys.exit(main(*sys.argv[1:]))
