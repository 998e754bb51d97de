"""Packages without which a test means nothing: left out on a laptop, missed aloud in CI."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

__all__ = ["needed"]

_SDKS = (
    "ag_ui",
    "anthropic",
    "boto3",
    "botocore",
    "cohere",
    "google.genai",
    "huggingface_hub",
    "mistralai",
    "ollama",
    "openai",
    "proto",
    "pydantic_ai",
)
_FRAMEWORKS = (
    "agents",
    "langchain_anthropic",
    "langchain_core",
    "langchain_openai",
    "langgraph",
    "llama_index",
)
_EXTRAS = {
    "test-frameworks": _FRAMEWORKS,
    "test-emitters": ("pydantic_ai",),
    "test-litellm": ("litellm",),
    "test-sdks": _SDKS,
}
"""Which extra of pyproject.toml brings a module; any other is brought by `test`."""


def needed(name: str) -> Any:
    """Return a module, or skip the test where it is not installed.

    With `TOKENSTREAM_REQUIRE_SDKS` in the environment an SDK that is missing fails
    the test instead: there somebody has installed them in order to see these tests run.
    "1" stands for those of the extras `test-sdks` and `test-emitters`; any other value
    names what is required.
    """
    required = os.environ.get("TOKENSTREAM_REQUIRE_SDKS", "")
    if name.startswith(_SDKS if required == "1" else tuple(required.split())):
        return importlib.import_module(name)
    extra = next((extra for extra, names in _EXTRAS.items() if name.startswith(names)), "test")
    return pytest.importorskip(
        name, reason=f'needs the package of {name}, which `pip install -e ".[{extra}]"` installs'
    )
