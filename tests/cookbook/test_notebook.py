"""The cell of the cookbook, run by nbclient in a real kernel: an answer grows, breaks off, is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cookbook.programs import environment, program_of
from tests.support.packages import needed
from tokenstream import testing

pytestmark = pytest.mark.slow
"""A kernel alone takes seconds to start."""


@contextmanager
def _notebook(
    cells: list[str], provider: testing.Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Any]:
    needed("ipykernel")
    nbclient, nbformat = needed("nbclient"), needed("nbformat")
    for name, value in environment(OPENAI_BASE_URL=f"{provider.url}/v1").items():
        monkeypatch.setenv(name, value)
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(folder))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    yield nbclient.NotebookClient(notebook, timeout=30, kernel_name="python3")


def _shown(cell: Any) -> list[str]:
    return [output["data"]["text/markdown"].strip() for output in cell["outputs"]]


def test_the_answer_grows_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks that are still open are shown closed, and the next question knows the answer before it."""
    script = testing.script().text("# The sky\n\n", "It is **bl").silence(0.5).text("ue**.").finish("stop")
    second = testing.script().text("Then it is dark.").finish("stop")
    sent: list[str] = []
    cells = [program_of("notebook"), 'ask("And at night?")']
    with (
        testing.serve([script, second], pace="recorded") as provider,
        _notebook(cells, provider, tmp_path, monkeypatch) as client,
    ):
        process = client.process_message

        def watch(message: Any, cell: Any, index: int) -> Any:
            if "data" in message["content"]:
                sent.append(message["content"]["data"]["text/markdown"].strip())
            return process(message, cell, index)

        client.process_message = watch
        client.execute()

    assert ["It is **bl**", "It is **blue**."] == [text for text in dict.fromkeys(sent) if "**bl" in text]
    assert [["# The sky", "It is **blue**."], ["Then it is dark."]] == [*map(_shown, client.nb.cells)]
    assert ["Why is the sky blue?", "# The sky\n\nIt is **blue**.", "And at night?"] == [
        message["content"] for message in provider.requests[1].json["messages"]
    ]


def test_a_broken_answer_stays_with_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text so far is there and in the conversation; a question without any answer is taken back."""
    script = testing.script().text("The sky ", "is ", "blue.").finish("stop").recording("openai-chat")
    broken = script.with_fault(testing.faults.close(event=3))
    refused = script.with_fault(testing.faults.status(500))
    cells = [program_of("notebook"), 'ask("Again?")', 'ask("And now?")']
    with (
        testing.serve([broken, refused, script]) as provider,
        _notebook(cells, provider, tmp_path, monkeypatch) as client,
    ):
        client.execute()
    first, second, third = map(_shown, client.nb.cells)

    assert ["The sky is", "**The answer broke off (network).** Ask again with `ask(…)`."] == first
    assert ["**The answer broke off (server).** Ask again with `ask(…)`."] == second
    assert ["The sky is blue."] == third
    assert [("user", "Why is the sky blue?"), ("assistant", "The sky is "), ("user", "And now?")] == [
        (message["role"], message["content"]) for message in provider.requests[2].json["messages"]
    ]


def test_the_stop_button_leaves_the_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = testing.script().text("The sky").silence(60).text(" is blue.").finish("stop")
    with (
        testing.serve(script, pace="recorded") as provider,
        _notebook([program_of("notebook"), "messages[-1]"], provider, tmp_path, monkeypatch) as client,
    ):
        process = client.process_message

        def stop(message: Any, cell: Any, index: int) -> Any:
            if not tasks and "The sky" in message["content"].get("data", {}).get("text/markdown", ""):
                tasks.append(asyncio.ensure_future(client.km.interrupt_kernel()))
            return process(message, cell, index)

        tasks: list[Any] = []
        client.process_message = stop
        client.allow_errors = True
        client.execute()
        outcome = provider.exchanges[0].outcome
    stopped, last = client.nb.cells

    assert "abandoned" == outcome
    assert ("The sky", "KeyboardInterrupt") == (
        stopped["outputs"][0]["data"]["text/markdown"].strip(),
        stopped["outputs"][1]["ename"],
    )
    assert "{'role': 'assistant', 'content': 'The sky'}" == last["outputs"][0]["data"]["text/plain"]
