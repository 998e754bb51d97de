"""A machine with Python, git and the tools of POSIX, and an ordinary user who has cloned the project there.

Whatever this machine has besides is out of the user's sight: programs, settings, the caches of pip, and what
lies beside the checkout. He has a blank and an `ü` in his paths, and the language C.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.ci.lanes import Failed, Shell
from tests.ci.machine import all_interpreters

_PROGRAMS = (
    "git sh awk basename bc cat chgrp chmod chown cksum cmp comm cp cut date dd df diff dirname du echo env"
    " expand expr false file find fold getconf grep head iconv id join kill link ln locale ls mkdir mkfifo mv"
    " nice nl nohup od paste patch pathchk printf ps pwd renice rm rmdir sed sleep sort split strings stty"
    " tail tee test time timeout touch tput tr true tsort tty uname unexpand uniq unlink wc who xargs"
)
"""Git, and the utilities of POSIX that a user starts; those that this machine lacks are left out."""
_KEPT = ("pip_", "http_proxy", "https_proxy", "no_proxy")
"""The beginnings of variables that say how this machine reaches the package index."""
_ORDINARY = "nobody"
"""Who takes root's place."""


class BareMachine:
    """A machine for one command, in a folder of its own.

    Args:
        work: The folder for it, which every user may pass through.

    Raises:
        Failed: The user can run no Python that makes virtual environments.
    """

    def __init__(self, work: Path) -> None:
        self._user = _ordinary_user()
        self._python = self._find_python()
        self._root = Path(tempfile.mkdtemp(dir=work, prefix="bare ü "))
        for name in ("bin", "home", "tmp", "project"):
            (self._root / name).mkdir()
        self._fill_path()
        self.clone = self._root / "project" / "a clone"
        """Where the project's files go; nothing lies beside it."""

    def run(self, shell: Shell, command: str, **variables: str) -> None:
        """Run a command of the shell in the clone, as the user.

        Args:
            command: As a page shows it, with `python3` for the newest Python that the user can run.
            variables: What the user has set.
        """
        kept = {name: value for name, value in os.environ.items() if name.lower().startswith(_KEPT)}
        # The user's pip compiles what it installs, as it does by default.
        kept.pop("PIP_COMPILE", None)
        places = {"PATH": "bin", "HOME": "home", "TMPDIR": "tmp"}
        given = {name: str(self._root / folder) for name, folder in places.items()}
        settings = {"LANG": "C", "GIT_CONFIG_NOSYSTEM": "1"}
        if self._user is not None:
            for path in (self._root, *self._root.rglob("*")):
                os.chown(path, *self._user, follow_symlinks=False)
        shell.run(
            *("sh", "-euc", command),
            folder=self.clone,
            variables={**kept, **settings, **given, **variables},
            is_bare=True,
            user=self._user,
        )

    def _fill_path(self) -> None:
        folder = self._root / "bin"
        for name in shlex.split(_PROGRAMS):
            if found := shutil.which(name):
                (folder / name).symlink_to(found)
        python = folder / "python3"
        python.write_text(f'#!/bin/sh\nexec "{self._python}" "$@"\n', encoding="utf-8")
        python.chmod(0o755)

    def _find_python(self) -> str:
        for python in reversed(all_interpreters()):
            if self._can_run(python):
                return python
        raise Failed("an ordinary user finds no Python with ensurepip and venv: install python3-venv")

    def _can_run(self, python: str) -> bool:
        uid, gid = self._user or (None, None)
        groups = None if self._user is None else ()
        try:
            done = subprocess.run(
                [python, "-I", "-c", "import ensurepip, venv"],
                cwd="/",
                capture_output=True,
                check=False,
                user=uid,
                group=gid,
                extra_groups=groups,
            )
        except OSError:
            return False
        return done.returncode == 0


def _ordinary_user() -> tuple[int, int] | None:
    """Return the ids of who takes root's place, or None: whoever is not root stays who he is."""
    if os.getuid() != 0:
        return None
    # Windows has no such module, and imports this one to collect its tests.
    import pwd

    entry = pwd.getpwnam(_ORDINARY)
    return entry.pw_uid, entry.pw_gid
