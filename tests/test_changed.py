"""`python -m tests.changed`: the tests of a change, and a reviewer's questions."""

from __future__ import annotations

import pytest

from tests.changed import concerned, files_of, questions


def test_a_change_is_tested_where_its_module_is() -> None:
    """By the name of the module, by an import of it, and by an import of a helper of the tests."""
    assert {"tests/framing/test_sse.py", "tests/framing/test_sse_errors.py"} <= {
        *concerned(["tokenstream/framing/_sse.py", "tests/framing/test_sse_errors.py"])
    }
    assert "tests/stream/test_shaping.py" in concerned(["tests/support/playing.py"])
    assert [] == concerned(["docs/guides/ui.md"])


@pytest.mark.parametrize(
    ("module", "test"),
    [
        ("relay/journal/_redis_scripts.py", "tests/relay/test_redis_laws.py"),
        ("formats/_wire/a2a/__init__.py", "tests/formats/a2a/test_tasks.py"),
        ("formats/_wire/openai_chat/parts.py", "tests/formats/openai_chat/test_content.py"),
        ("steps/__init__.py", "tests/steps/test_steps.py"),
        ("errors.py", "tests/test_errors.py"),
    ],
)
def test_a_module_without_a_test_of_its_name_has_those_of_its_folder(module: str, test: str) -> None:
    assert test in files_of(f"tokenstream/{module}")


def test_a_change_without_a_test_a_page_or_a_line_for_users_is_asked_for_them() -> None:
    """One that is whole is asked nothing."""
    module = "tokenstream/framing/_sse.py"
    whole = [module, "tests/framing/test_sse.py", "CHANGELOG.md", "docs/guides/reading.md"]

    assert [] == [*questions(whole)] == [*questions(["tests/framing/test_sse.py"])]
    assert ["No test", "CHANGELOG.md has", "No page"] == [
        " ".join(each.split()[:2]) for each in questions([module])
    ]
