"""Everything that must hold before a change lands, on any machine.

`.ci/run` starts it with the names of lanes, or without a name for all. It works in a temporary copy of
the checkout, and needs nothing but the standard library. A lane that fails keeps no other from running.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.ci.checks import Checks
from tests.ci.lanes import chosen, notes, run_lanes, table
from tests.ci.machine import interpreters


def main(names: list[str]) -> int:
    """Run lanes, print a table of their seconds, and return 1 if one has failed."""
    # Whoever ends this program ends what its lanes have started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Without bytecode, each of some hundred programs would compile the library and its tests again.
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"):
        os.environ.pop(name, None)
    # Debian installs servers outside an ordinary user's PATH.
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    pythons = interpreters()
    sys.stdout.write("".join(f"Python {tag}: {path}\n" for tag, path in pythons.items()))
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        # One lane has another user, who must reach a folder of his.
        work.chmod(0o711)
        os.environ |= {
            # Bytecode comes with the first import, here too: most modules are never imported.
            "PIP_COMPILE": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_PROGRESS_BAR": "off",
            "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
            "TOKENSTREAM_MARKDOWN": str(work / "markdown"),
            # What needs an SDK, an emitter or a proxy fails where that is missing, and is not skipped.
            "TOKENSTREAM_REQUIRE_SDKS": "1",
        }
        checks = Checks(work, pythons)
        lanes = chosen(checks.lanes(), names)
        checks.copy()
        # Of four installations, tests and browsers, two wait most of the time.
        outcomes = run_lanes(lanes, cores + 2, work)
    failed = [outcome.lane.name for outcome in outcomes if outcome.error]
    end = f"FAILED: {', '.join(failed)}" if failed else "everything passed"
    sys.stdout.write(f"\n{table(outcomes, cores)}\n{notes(outcomes)}{end}\n")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
