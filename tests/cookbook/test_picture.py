"""The program about pictures sends a file unchanged, as a part of the question."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.cookbook.programs import run_program
from tokenstream import testing

_ANSWER = testing.script().text("A cat ", "on a mat.").finish("stop")


def _sent(folder: Path, name: str) -> tuple[str, dict[str, Any]]:
    """Return what is printed about a file, and the part of the question that has it."""
    file = folder / name
    file.write_bytes(b"\0bytes")
    with testing.serve(_ANSWER) as provider:
        done = run_program("picture", folder, str(file), OPENAI_BASE_URL=f"{provider.url}/v1")
    assert not done.stderr
    asked, part = provider.requests[0].json["messages"][0]["content"]
    assert "text" == asked["type"]
    return done.stdout, part


@pytest.mark.parametrize("name, kind", [("cat.png", "image/png"), ("cat.jpg", "image/jpeg")])
def test_a_picture_goes_as_an_image(name: str, kind: str, tmp_path: Path) -> None:
    printed, part = _sent(tmp_path, name)
    head, _, data = part["image_url"]["url"].partition(",")

    assert "A cat on a mat.\n" == printed
    assert ("image_url", f"data:{kind};base64") == (part["type"], head)
    assert b"\0bytes" == base64.b64decode(data)


def test_a_pdf_goes_as_a_file(tmp_path: Path) -> None:
    """The part has the name of the file, and its bytes in base64."""
    _, part = _sent(tmp_path, "invoice.pdf")
    head, _, data = part["file"]["file_data"].partition(",")

    assert ("file", "invoice.pdf", "data:application/pdf;base64") == (
        part["type"],
        part["file"]["filename"],
        head,
    )
    assert b"\0bytes" == base64.b64decode(data)
