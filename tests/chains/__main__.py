"""Ask real servers in front of a provider with faults, and compare what is read with docs/reports/chains.md.

`python -m tests.chains [--write] [NAMES...]`, where names are those of chains.json, by default those that
install quickly. Each server is installed in a folder of its own in the one that `TOKENSTREAM_CHAINS` names,
by uv or npm, unless it is there. With `--write`, the page gets what differs; otherwise that is a failure.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.chains import provider
from tests.project import ROOT
from tokenstream import Deadlines, Steps, connect
from tokenstream.errors import TokenStreamError
from tokenstream.testing import Server

PAGE = ROOT / "docs" / "reports" / "chains.md"
_HERE = Path(__file__).parent
CHAINS: dict[str, Any] = json.loads((_HERE / "chains.json").read_text(encoding="utf-8"))
_SECONDS_TO_START = 300
_PATIENT = Deadlines(first_event=60.0, idle_content=30.0)
_IMPATIENT = Deadlines(first_event=4.0, idle_content=2.0)
_SECONDS_TO_LEAVE = 8.0
"""The time in which a server should leave its provider once its client has left."""


def _filled(value: Any, **words: str) -> Any:
    """Return a value of chains.json with words in the place of those in capitals."""
    text = json.dumps(value)
    for name, word in words.items():
        text = text.replace(name, word)
    return json.loads(text)


def _install(chain: Any, folder: Path) -> None:
    if "pip" in chain:
        subprocess.run(["uv", "venv", "-q", folder], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "--python", folder, *chain["pip"]], check=True)
    else:
        npm = f"npm install --no-audit --no-fund --loglevel=error --prefix {folder}"
        subprocess.run([*npm.split(), *chain["npm"]], check=True)


@contextmanager
def serving(name: str, server: Server) -> Iterator[str]:
    """Run a chain's server in front of the provider, and yield its URL once it listens."""
    chain, folder = CHAINS[name], Path(os.environ["TOKENSTREAM_CHAINS"], name.replace(" ", "-"))
    if not folder.exists():
        _install(chain, folder)
    # What they write stays beside them.
    shutil.copytree(_HERE / "servers", folder / "servers", dirs_exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        # What the providers' SDKs read.
        **dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY"), "x"),
        **dict.fromkeys(("PROVIDER", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"), server.url),
        **dict.fromkeys(("PROVIDER_V1", "OPENAI_BASE_URL"), f"{server.url}/v1"),
        "PROVIDER_V1BETA": f"{server.url}/v1beta",
        "PATH": os.pathsep.join([f"{folder}/bin", f"{folder}/node_modules/.bin", os.environ["PATH"]]),
    }
    environment = {**os.environ, **chain.get("environment", {}), **own}
    command, log = _filled(chain["run"], PORT=str(port)), folder / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=file)
    try:
        end = time.monotonic() + _SECONDS_TO_START
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(log.read_text(encoding="utf-8", errors="replace"))
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _verdict(url: str, chain: Any, row: str, case: str, server: Server) -> str:
    """Return what a reader is told of an answer, in a word."""
    path, body, *more = _filled(chain["rows"][row], CASE=case)
    headers = _filled({**chain.get("headers", {}), **dict(*more)}, PROVIDER=server.url)
    text, deadlines, before = None, _IMPATIENT if case == "silence" else _PATIENT, len(server.exchanges)
    try:
        if case == "left" and "follow" not in chain:
            with connect(url + path, json=body, headers=headers, deadlines=deadlines) as stream:
                next(iter(stream.text))
        elif "follow" in chain:
            timeout = deadlines.first_event
            with httpx.stream("POST", url + path, json=body, timeout=timeout) as response, Steps() as run:
                for _ in run.follow(response):
                    if case == "left":
                        break
            if case != "left" and run.turns[-1].state != "done":
                return run.turns[-1].state
            text = run.turns[-1].result
        else:
            with connect(url + path, json=body, headers=headers, deadlines=deadlines) as stream:
                message = stream.final()
            if message.finish_reason == "error":
                return "error"
            text = message.text
    except (TokenStreamError, httpx.TimeoutException) as error:
        return str(getattr(error, "kind", "network"))
    # Some ask for the list of models, too.
    asked = [each for each in server.exchanges[before:] if each.request.body]
    if case == "left":
        asked[-1].over.wait(_SECONDS_TO_LEAVE)
        return "told" if asked[-1].outcome == "abandoned" else "untold"
    if len(asked) > 1:
        return "again"
    return "untold" if case != "whole" else "whole" if text == provider.TEXT else "misread"


def _table(name: str) -> str:
    """Ask a chain for all its answers, and return its paragraph of the page."""
    chain = CHAINS[name]

    def line(head: str, words: Iterable[str]) -> str:
        return "".join([head.ljust(26), *(word.ljust(15) for word in words)]).rstrip()

    lines = [f"{name}: {chain.get('pip', chain.get('npm'))[0]}", line("", provider.ANSWERS)]
    with provider.serve() as server, serving(name, server) as url:
        for row in chain["rows"]:
            # While a server still loads, it may ask twice.
            _verdict(url, chain, row, "whole", server)
            verdicts = (_verdict(url, chain, row, case, server) for case in provider.ANSWERS)
            lines.append(line(f"  {row}", verdicts))
            sys.stdout.write(f"{lines[-1]}\n")
    return "\n".join(lines)


def paragraphs() -> dict[str, str]:
    """Return the tables of the page by the names of their chains."""
    made = PAGE.read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0]
    return {each.partition(":")[0]: each for each in made.strip().split("\n\n") if each}


def main(names: list[str], *, write: bool) -> int:
    """Ask chains, and return how many have not the table that the page has."""
    before = paragraphs()
    after = {name: _table(name) for name in names or [name for name in CHAINS if "quick" in CHAINS[name]]}
    wrong = [name for name, table in after.items() if before.get(name) != table]
    for name in wrong:
        sys.stdout.write(f"\non the page:\n{before.get(name)}\nseen:\n{after[name]}\n")
    if write:
        tables = before | after
        head, mark, _ = PAGE.read_text(encoding="utf-8").partition("```text\n")
        made = "\n\n".join(tables[name] for name in CHAINS if name in tables)
        PAGE.write_text(f"{head}{mark}{made}\n```\n", encoding="utf-8")
    return 0 if write else len(wrong)


if __name__ == "__main__":
    sys.exit(main([name for name in sys.argv[1:] if name != "--write"], write="--write" in sys.argv))
