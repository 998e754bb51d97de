"""The tests that read data beside the checkout are found, so that only they are run again where it lies."""

from __future__ import annotations

from tests.support.beside import readers

_SOURCES = {
    "support.beside": "SHARED = 'there'\nneeds_it = mark(SHARED)\n",
    "support.answers": "from support.beside import SHARED\n\ndef answers():\n    return SHARED\n\none = 1\n",
    "test_marked": "from support.beside import needs_it\n\n@needs_it\ndef test():\n    pass\n",
    "test_through_another": "from support.answers import answers as known\n\nROWS = known()\n",
    "test_in_a_function": "def test():\n    from support.answers import answers\n",
    "test_of_a_module": "from support import answers as given\n\nROWS = given.answers()\n",
    "test_with_a_fixture": "from support.answers import answers\n\ndef test(answers):\n    pass\n",
    "test_of_all": "from support.answers import answers\n\nassert answers()\n",
    "test_of_something_else": "from support.answers import one\n\ndef test():\n    SHARED = one\n",
}


def test_what_a_statement_reads_leads_back_to_the_data() -> None:
    """A name leads back to the data by any number of modules; other names of the same module do not."""
    found = readers(_SOURCES, "support.beside.SHARED")

    assert [
        "support.answers.SHARED",
        "support.answers.answers",
        "support.beside.SHARED",
        "support.beside.needs_it",
        "test_in_a_function.test",
        "test_marked.needs_it",
        "test_marked.test",
        "test_of_a_module.ROWS",
        "test_of_all.",
        "test_of_all.answers",
        "test_through_another.ROWS",
        "test_through_another.known",
        "test_with_a_fixture.answers",
        "test_with_a_fixture.test",
    ] == found
