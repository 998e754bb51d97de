"""The tests that read data beside the checkout are found, so that they can be run where it lies."""

from __future__ import annotations

import pytest

from tests.support.beside import readers, reading_tests

_SOURCES = {
    "support.beside": "SHARED = 'there'\nneeds_it = mark(SHARED)\n",
    "support.answers": "from support.beside import SHARED\n\ndef answers():\n    return SHARED\n\none = 1\n",
    "test_marked": "from support.beside import needs_it\n\n@needs_it\ndef test():\n    pass\n",
    "test_through_another": "from support.answers import answers as known\n\nROWS = known()\n",
    "test_in_a_function": "def test():\n    from support.answers import answers\n",
    "test_of_a_module": "from support import answers as given\n\nROWS = given.answers()\n",
    "test_of_something_else": "from support.answers import one\n\ndef test():\n    SHARED = one\n",
}


def test_a_module_reads_what_it_imports_of_a_reader() -> None:
    """A name leads back to the data by any number of modules; other names of the same module do not."""
    found = readers(_SOURCES, "support.beside.SHARED")

    assert [
        "support.answers",
        "support.beside",
        "test_in_a_function",
        "test_marked",
        "test_of_a_module",
        "test_through_another",
    ] == found


@pytest.mark.slow
def test_the_tests_that_read_the_data_are_found() -> None:
    """A test with a mark, a test of recordings that a module lists, and one whose helper reads them."""
    found = reading_tests()

    assert {
        "tests/framing/test_sse.py",
        "tests/test_recordings.py",
        "tests/stages/test_objects_field.py",
    } <= {*found}
    assert "tests/test_readme.py" not in found
