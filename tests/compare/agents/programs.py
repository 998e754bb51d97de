"""The real coding agents, as packages of npm; each asks a server of the test in place of its provider.

`python -m tests.compare.agents.programs FOLDER` prints which of those that npm has installed there are newer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.ci.machine import AGENTS
from tests.support.node import node_in

MODEL = "claude-sonnet-4-5"
"""The name of the model, which most programs have to know."""
_QUIET = {
    "claude": {
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "IS_SANDBOX": "1",
        "ANTHROPIC_API_KEY": "made-up",
    },
    "codex": {"OPENAI_API_KEY": "made-up"},
    "opencode": {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    },
    "gemini": {
        "GEMINI_API_KEY": "made-up",
        "GEMINI_TELEMETRY_ENABLED": "false",
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
        "NO_COLOR": "1",
    },
    "pi": {"PI_OFFLINE": "1"},
    "qwen": {"ANTHROPIC_API_KEY": "made-up", "NO_COLOR": "1"},
    "copilot": {
        "COPILOT_OFFLINE": "true",
        "COPILOT_AUTO_UPDATE": "false",
        "COPILOT_MODEL": MODEL,
        "COPILOT_PROVIDER_TYPE": "anthropic",
        "COPILOT_PROVIDER_API_KEY": "made-up",
    },
    "kimi": {"KIMI_CODE_NO_AUTO_UPDATE": "1"},
}
"""The environment in which each program sends nothing to anybody but its provider."""
_SETTINGS = {
    "opencode": "work/opencode.json",
    "gemini": "home/.gemini/settings.json",
    "pi": "home/.pi/agent/models.json",
    "qwen": "home/.qwen/settings.json",
    "kimi": "home/.kimi-code/config.toml",
}
"""The file of each program's settings for which it has no variables of the environment."""
_ADDRESSES = {
    "claude": "ANTHROPIC_BASE_URL",
    "gemini": "GOOGLE_GEMINI_BASE_URL",
    "qwen": "ANTHROPIC_BASE_URL",
    "copilot": "COPILOT_PROVIDER_BASE_URL",
}
"""The variable with the address of each program's provider."""


def changes_in(folder: Path) -> str:
    """Return today's date, and the programs in a folder whose versions are others than those of `AGENTS`."""
    lines = [f"{datetime.now(UTC).date()}: the newest coding agents"]
    for name, (package, pinned) in AGENTS.items():
        file = folder / "node_modules" / package / "package.json"
        found = json.loads(file.read_text(encoding="utf-8"))["version"] if file.exists() else "none"
        lines.append(f"{name}: {pinned}" + ("" if found == pinned else f" -> {found}"))
    return "\n".join(lines)


def program(name: str) -> str:
    """Return the path of an agent's program, or skip the test.

    With `TOKENSTREAM_REQUIRE_SDKS=1` in the environment the test fails instead.
    """
    package, version = AGENTS[name]
    folder = Path(os.environ.get("TOKENSTREAM_AGENTS", ".")).resolve()
    path = folder / "node_modules" / ".bin" / name
    if path.exists():
        return str(path)
    if name in os.environ.get("TOKENSTREAM_WITHOUT", "").split():
        pytest.skip(f"npm could not install {package}@{version}")
    reason = f"needs {package}@{version}: set TOKENSTREAM_AGENTS to a folder where `npm install` has put it"
    if os.environ.get("TOKENSTREAM_REQUIRE_SDKS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def started(name: str, folder: Path, url: str, *arguments: str) -> Generator[subprocess.Popen[bytes]]:
    """Start an agent in a folder of its own, with pipes; it is killed at the end of the block.

    Args:
        folder: A folder that is empty, for the agent's home and work.
    """
    path = program(name)
    for each in ("home", "work"):
        (folder / each).mkdir(exist_ok=True)
    agents = Path(os.environ.get("TOKENSTREAM_AGENTS", ".")).resolve()
    node = node_in(agents)
    search = os.pathsep.join([*([str(Path(node).parent)] if node else []), os.environ["PATH"]])
    environment = {"HOME": str(folder / "home"), "PATH": search, **_QUIET[name]}
    if name in _ADDRESSES:
        environment[_ADDRESSES[name]] = url
    if name in _SETTINGS:
        file = folder / _SETTINGS[name]
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(_settings_of(name, url), encoding="utf-8")
    if name == "codex":
        environment["CODEX_HOME"] = str(folder / "home")
        provider = f'{{name="test",base_url="{url}/v1",wire_api="responses",env_key="OPENAI_API_KEY"}}'
        # Codex offers its tool for plans only if it is told to.
        settings = (
            "model_provider=test",
            f"model_providers.test={provider}",
            "tools.update_plan={enabled=true}",
        )
        arguments = (*[word for setting in settings for word in ("-c", setting)], *arguments)
    with subprocess.Popen(
        [path, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder / "work",
        env=environment,
    ) as agent:
        try:
            yield agent
        finally:
            agent.kill()


def _settings_of(name: str, url: str) -> str:
    if name == "kimi":
        provider = f'[providers.test]\ntype = "anthropic"\nbase_url = "{url}"\napi_key = "made-up"\n'
        alias = f'[models.test]\nprovider = "test"\nmodel = "{MODEL}"\nmax_context_size = 200000\n'
        return f'default_model = "test"\ntelemetry = false\n{provider}{alias}'
    model = {"name": "test", "limit": {"context": 200_000, "output": 8_000}}
    settings: dict[str, dict[str, object]] = {
        "opencode": {
            "share": "disabled",
            "autoupdate": False,
            "permission": {"*": "allow"},
            "model": f"anthropic/{MODEL}",
            "small_model": f"anthropic/{MODEL}",
            "provider": {
                "anthropic": {
                    "options": {"baseURL": f"{url}/v1", "apiKey": "made-up"},
                    "models": {MODEL: model},
                }
            },
        },
        "gemini": {
            # With the address of a gateway alone, Gemini CLI refuses to start without a terminal.
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
        },
        "qwen": {
            "security": {"auth": {"selectedType": "anthropic"}},
            "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False},
        },
        "pi": {
            "providers": {
                "test": {
                    "baseUrl": url,
                    "api": "anthropic-messages",
                    "apiKey": "made-up",
                    "models": [{"id": MODEL, "reasoning": True}],
                }
            }
        },
    }
    return json.dumps(settings[name])


if __name__ == "__main__":
    sys.stdout.write(f"{changes_in(Path(sys.argv[1]))}\n")
