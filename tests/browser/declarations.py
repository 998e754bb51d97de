"""The type declarations of the browser's reader, which TypeScript makes from the comments of its modules.

    TOKENSTREAM_NODE=… python -m tests.browser.declarations

writes them beside the modules. The folder has TypeScript in its `node_modules`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.node import node_in
from tokenstream import relay

STRICTLY = [
    *("--allowJs", "--checkJs", "--strict", "--skipLibCheck", "--target", "es2022"),
    *("--lib", "es2022,dom,dom.iterable", "--module", "esnext", "--moduleResolution", "bundler"),
]
"""The options with which TypeScript checks comments as strictly as it can."""


def make_declarations(modules: Path, npm: Path) -> dict[str, str]:
    """Return the declarations of all modules in a folder, by file name.

    Raises:
        ValueError: The modules' types are wrong.
    """
    node = node_in(npm)
    assert node is not None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # Without the declarations that there are, which TypeScript would read in place of the modules.
        copies = [shutil.copy(path, folder) for path in sorted(modules.glob("*.js"))]
        compiler = npm / "node_modules" / "typescript" / "bin" / "tsc"
        options = [*STRICTLY, "--declaration", "--emitDeclarationOnly", "--outDir", str(folder / "made")]
        done = subprocess.run(
            [node, compiler, *options, *copies], capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode:
            raise ValueError(done.stdout)
        return {path.name: path.read_text("utf-8") for path in (folder / "made").glob("*.d.ts")}


if __name__ == "__main__":
    made = make_declarations(relay.assets.directory, Path(os.environ["TOKENSTREAM_NODE"]).resolve())
    for name, text in made.items():
        (relay.assets.directory / name).write_text(text, "utf-8")
    sys.stdout.write("\n".join(sorted(made)) + "\n")
