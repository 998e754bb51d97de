"""`python -m tests.compare.benchmarks [--quick] [--only NAME]`: print the tables."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.compare.benchmarks.followers import followers
from tests.compare.benchmarks.formats import formats
from tests.compare.benchmarks.imports import imports
from tests.compare.benchmarks.load import load
from tests.compare.benchmarks.markdown import markdown
from tests.compare.benchmarks.partial_json import partial_json
from tests.compare.benchmarks.relay import relay
from tests.compare.benchmarks.service import service
from tests.compare.benchmarks.short import short
from tests.compare.benchmarks.timing import Plan
from tests.compare.benchmarks.typed_objects import typed_objects
from tests.compare.benchmarks.views import views
from tests.compare.benchmarks.whole_json import whole_json
from tests.compare.benchmarks.written_drafts import written_drafts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compare.benchmarks.tables import Table

_NAMES = (
    "llm-tokenstream pydantic pydantic_core orjson httpx httpx2 aiohttp uvloop httpx-sse openai "
    "anthropic google-genai mistralai cohere ollama huggingface_hub boto3 ag-ui-protocol jiter "
    "markdown-it-py partial-json-parser streaming-json-parser streaming-json-parser-native "
    "instructor pydantic-ai-slim"
)
_PACKAGES = _NAMES.split()
_QUICK = Plan(
    events=500, seconds=0.0, rounds=5, imports=3, documents=(1_000, 10_000, 100_000), objects=200, tokens=50
)
_SECTIONS: dict[str, Callable[[Plan], list[Table]]] = {
    "formats": formats,
    "views": views,
    "imports": imports,
    "markdown": markdown,
    "partial_json": partial_json,
    "typed_objects": lambda plan: [*typed_objects(plan), *written_drafts(plan)],
    "whole_json": whole_json,
    "short": short,
    "relay": relay,
    "load": load,
    "followers": followers,
    "service": service,
}


def _processor() -> str:
    source = Path("/proc/cpuinfo")
    lines = source.read_text(encoding="utf-8").splitlines() if source.exists() else []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    return named or platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.compare.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about 20 seconds, less exact")
    parser.add_argument(
        "--only", action="append", choices=sorted(_SECTIONS), metavar="NAME", help="one of %(choices)s"
    )
    asked = parser.parse_args()
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}, {_processor()}"
    )
    print(", ".join(map(_version, _PACKAGES)))
    print("All defaults on, garbage collector on; contenders take turns, the fastest run of each counts,")
    print("in processor time.\n")
    for name in asked.only or _SECTIONS:
        for table in _SECTIONS[name](_QUICK if asked.quick else Plan()):
            print(table, flush=True)


if __name__ == "__main__":
    main()
