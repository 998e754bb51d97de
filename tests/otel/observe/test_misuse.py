"""`observe`: what it refuses, and what it loads."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.otel.backend import Backend
from tests.otel.observe.support import replayed
from tests.project import PYPROJECT
from tokenstream.errors import MisuseError
from tokenstream.otel import observe


def test_only_a_stream_that_is_to_be_read_is_observed(backend: Backend) -> None:
    """Each misuse says what to do instead."""
    ended, no_stream = replayed(), list[bytes]()
    ended.final()
    refused: Any = no_stream

    with pytest.raises(MisuseError, match="observe a stream before it is read"):
        observe(ended)
    with observe(replayed(), **backend.takes) as twice, pytest.raises(MisuseError, match="observed already"):
        observe(twice)
    with pytest.raises(MisuseError, match="a stream, a tap or a run, and not list"):
        observe(refused)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """opentelemetry-api is loaded by the first call, and nothing of its SDK ever."""
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)

    with replayed() as stream, pytest.raises(MisuseError, match=r'pip install "llm-tokenstream\[otel\]"'):
        observe(stream)


@pytest.mark.slow
def test_importing_loads_no_opentelemetry() -> None:
    """Who does not observe pays nothing."""
    code = "import sys, tokenstream.otel; print([name for name in sys.modules if 'opentelemetry' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


def test_without_a_provider_nothing_is_recorded() -> None:
    """The API's own stand-ins take what is told."""
    assert "Hello" == observe(replayed()).final().text


def test_the_extra_is_the_api_alone() -> None:
    """What exports is the application's to choose."""
    assert ["opentelemetry-api>=1.30"] == PYPROJECT["project"]["optional-dependencies"]["otel"]
