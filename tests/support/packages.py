"""Packages that a test cannot do without: it is skipped on a laptop, and fails in CI."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

_SDKS, _FRAMEWORKS, _COOKBOOK = (
    tuple(names.split())
    for names in (
        """a2a ag_ui anthropic boto3 botocore cohere google.genai huggingface_hub mistralai ollama openai
        proto pydantic_ai""",
        """agents claude_agent_sdk google.adk instructor langchain.agents langchain_anthropic langchain_core
        langchain_openai langgraph llama_index""",
        """PyInstaller celery gradio gunicorn ipykernel nbclient stamina streamlit telegram textual
        uvicorn_worker""",
    )
)
_EXTRAS = {
    "test-cookbook": _COOKBOOK,
    "test-frameworks": _FRAMEWORKS,
    "test-emitters": ("pydantic_ai",),
    "docs": ("sphinx",),
    "test-litellm": ("litellm",),
    "test-machines": ("dbos",),
    "test-sdks": _SDKS,
}
"""Extra of pyproject.toml that installs a module; `test` installs the others."""


def needed(name: str) -> Any:
    """Return a module, or skip the test if it is not installed.

    With `TOKENSTREAM_REQUIRE_SDKS` in the environment a missing SDK fails the test
    instead: there the SDKs were installed to run these tests. "1" stands for those of
    the extras `test-sdks` and `test-emitters`; any other value names the required ones.
    """
    required = os.environ.get("TOKENSTREAM_REQUIRE_SDKS", "")
    if name.startswith(_SDKS if required == "1" else tuple(required.split())):
        return importlib.import_module(name)
    extra = next((extra for extra, names in _EXTRAS.items() if name.startswith(names)), "test")
    return pytest.importorskip(
        name, reason=f'needs the package of {name}, which `pip install -e ".[{extra}]"` installs'
    )
