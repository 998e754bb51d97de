"""The programs of docs/cookbook, which tests here run as they are: each is in its section or in examples/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from tests.docs.pages import blocks, parts_of
from tests.project import PACKAGE, ROOT
from tests.support.served import by_python

FOLDER = ROOT / "docs" / "cookbook"
INDEX = ROOT / "docs" / "cookbook.md"
EXAMPLES = ROOT / "examples"
MAX_LINES = 72
PLACES = {
    "agent-loop": "everyday-tasks.md#an-agent-loop",
    "agent-page": "web-pages.md#an-agent-in-a-page-with-approval",
    "ask-again": "everyday-tasks.md#ask-again-if-the-answer-does-not-validate",
    "batch": "everyday-tasks.md#a-thousand-answers-parallel-requests-with-a-budget",
    "caching": "everyday-tasks.md#prompt-caching",
    "chat-bot": "interfaces.md#a-chat-bot-an-answer-that-grows-in-telegram",
    "conversation": "web-pages.md#a-conversation-over-a-websocket",
    "discord-bot": "interfaces.md#discord-a-reply-that-grows",
    "django": "web-frameworks.md#django-relay-an-answer",
    "django-chat": "web-frameworks.md#django-a-chat-that-survives-a-reload",
    "fastapi": "web-frameworks.md#fastapi-relay-an-answer",
    "fastapi-markdown": "web-frameworks.md#fastapi-a-page-of-markdown",
    "fastapi-redis": "web-frameworks.md#fastapi-and-redis-answers-that-survive-a-reload",
    "flask": "web-frameworks.md#flask-relay-an-answer",
    "form-once": "everyday-tasks.md#a-form-that-survives-crashes-and-posts-once",
    "gradio": "interfaces.md#gradio-a-chat",
    "litestar-chat": "web-frameworks.md#litestar-a-chat-that-survives-a-reload",
    "nextjs": "web-pages.md#nextjs-in-front-of-a-python-relay",
    "notebook": "interfaces.md#a-jupyter-notebook",
    "picture": "everyday-tasks.md#a-picture-or-a-pdf-in-the-question",
    "recipe-form": "interfaces.md#a-form-that-fills-in",
    "retries": "everyday-tasks.md#retries-with-retry-or-with-stamina",
    "slack-bot": "interfaces.md#slack-a-message-that-grows",
    "speech": "interfaces.md#speech",
    "streamlit": "interfaces.md#streamlit-a-chat",
    "team-proxy": "web-frameworks.md#fastapi-and-redis-a-teams-proxy-with-a-budget",
    "terminal-chat": "interfaces.md#a-chat-in-the-terminal",
    "testing-an-application": "everyday-tasks.md#tests-of-your-application",
    "textual": "interfaces.md#textual-a-chat",
    "unsure": "everyday-tasks.md#words-that-the-model-is-unsure-of",
    "use-chat": "web-pages.md#usechat-a-python-backend-for-the-ai-sdk",
}
"""Where each recipe stands: the page, and the anchor of its section."""


def section_of(recipe: str) -> str:
    page, _, _ = PLACES[recipe].partition("#")
    [text] = [part.text for part in parts_of(FOLDER / page) if part.name.endswith(f"/{PLACES[recipe]}")]
    return text


def example_of(recipe: str) -> Path | None:
    """Return the file or folder of examples/ that a section links by its recipe's name; None without one."""
    name = recipe.replace("-", "_")
    paths = [path for path in (EXAMPLES / name, EXAMPLES / f"{name}.py") if path.exists()]
    return paths[0] if paths and f"/examples/{name}" in section_of(recipe) else None


def program_of(recipe: str) -> str:
    """Return the program of a recipe: the one block of Python of its section."""
    (block,) = blocks(section_of(recipe), "python")
    return block.code


def write_program(recipe: str, folder: Path) -> Path:
    """Write a recipe's program into a folder, under the recipe's name, so that it can be run or imported.

    A program of several files gets the folder that it has in examples/, and is returned as its `app.py`; one
    that is a file of examples/ stays there.
    """
    example = example_of(recipe)
    if example is not None and example.is_file():
        return example
    if example is not None:
        copied = folder / "examples" / example.name
        shutil.copytree(example, copied, ignore=shutil.ignore_patterns("__pycache__"))
        return copied / "app.py"
    path = folder / f"{recipe.replace('-', '_')}.py"
    path.write_text(program_of(recipe), encoding="utf-8")
    return path


def write_page(recipe: str, folder: Path, name: str, language: str) -> None:
    """Write a recipe's one block in another language into a folder: a file that the program needs."""
    (block,) = blocks(section_of(recipe), language)
    (folder / name).write_text(block.code, encoding="utf-8")


def environment(**variables: str) -> dict[str, str]:
    """Return the environment for a program: it finds this library, and asks no real provider."""
    paths = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "NO_PROXY": "*",
        "PYTHONPATH": paths,
        "PYTHONIOENCODING": "utf-8",
        **variables,
    }


def run_program(
    recipe: str, folder: Path, *arguments: str, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(write_program(recipe, folder)), *arguments],
        cwd=folder,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=240,
    )


def serving(folder: Path, *arguments: str, **variables: str) -> AbstractContextManager[str]:
    """Serve with Python and these arguments, in which {port} is its port; the context has its address."""
    return by_python(folder, environment(**variables), *arguments)
