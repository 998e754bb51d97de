"""Tell whether the commands that the documents show are there to be run."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import blocks
from tests.project import PYPROJECT, ROOT

_SHELLS = ("sh", "bash", "shell", "console")
# What any machine has, and what no test can look up.
_GIVEN = {".", "cd", "curl", "export", "git", "source"}
_OPERATORS = "&|;"
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
"""Beginning of a word that sets a variable for the command after it."""


def commands(page: str) -> list[list[str]]:
    """Return the words of each command in the shell blocks of `page`."""
    found: list[list[str]] = []
    for block in blocks(page, *_SHELLS):
        lines = block.code.replace("\\\n", " ").splitlines()
        if block.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in lines:
            found.extend(_split(line))
    return found


def _split(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set(_OPERATORS):
            found.append([])
        else:
            found[-1].append(word)
    return [command for command in found if command]


def fault_of(command: list[str]) -> str | None:
    """Return what keeps `command` from being run, or None."""
    command = list(itertools.dropwhile(_ASSIGNMENT.match, command))
    program, *arguments = command
    if program in _GIVEN:
        return None
    if program in {"pip", "pip3"}:
        return _fault_of_install(arguments)
    if re.fullmatch(r"python[\d.]*", program):
        if arguments[:1] == ["-m"]:
            return _fault_of_module(arguments[1], arguments[2:])
        script = next((argument for argument in arguments if argument.endswith(".py")), None)
        return f"there is no file {script}" if script and not (ROOT / script).exists() else None
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return None if shutil.which(program, path=path) else f"there is no program {program}"


def _fault_of_module(module: str, arguments: list[str]) -> str | None:
    if importlib.util.find_spec(module) is None:
        return f"there is no module {module}"
    if module == "pip":
        return _fault_of_install(arguments)
    if module != "tokenstream" or not arguments or arguments[0].startswith("-"):
        return None
    known = re.search(rf"\b{re.escape(arguments[0])}\b", _help())
    return None if known else f"`python -m tokenstream` has no command {arguments[0]}"


@functools.cache
def _help() -> str:
    asked = [sys.executable, "-m", "tokenstream", "--help"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


def _fault_of_install(arguments: list[str]) -> str | None:
    extras = set(PYPROJECT["project"]["optional-dependencies"])
    for argument in arguments:
        if re.fullmatch(r"(llm-)?tokenstream(\[.*\])?", argument):
            return "llm-tokenstream is on no index yet, and tokenstream is another distribution"
        match = re.fullmatch(r"\.\[([\w,-]+)\]", argument)
        unknown = set(match[1].split(",")) - extras if match else set()
        if unknown:
            return f"the distribution has no extra {', '.join(sorted(unknown))}"
    return None
