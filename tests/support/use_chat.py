"""The page of examples/use_chat as an application bundles it."""

from __future__ import annotations

from pathlib import Path

from tests.project import ROOT
from tokenstream import relay

_MOUNT = """import { createRoot } from "react-dom/client";
import Page from "./page";
createRoot(document.getElementById("root")!).render(<Page />);
"""


def make_project(folder: Path, npm: Path, backend: str) -> Path:
    """Write the component and a page with nothing else into a folder with all packages; return the page."""
    (folder / "node_modules").mkdir()
    for package in (npm / "node_modules").iterdir():
        (folder / "node_modules" / package.name).symlink_to(package)
    (folder / "node_modules" / "llm-tokenstream").symlink_to(relay.assets.directory)
    component = (ROOT / "examples" / "use_chat" / "page.tsx").read_text(encoding="utf-8")
    (folder / "page.tsx").write_text(component.replace("http://localhost:8000", backend), encoding="utf-8")
    (folder / "mount.tsx").write_text(_MOUNT, encoding="utf-8")
    return folder / "mount.tsx"
