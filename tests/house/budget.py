"""The budget of the package: numbers that only fall.

Whoever adds lines or names removes as many. `python -m tests.house` prints them as they are, and
`python -m tests.evidence` those of statements.
"""

LINES = 151_160
"""Lines of all kinds."""
CODE = 84_768
"""Lines of code, without imports, docstrings, comments and blank lines."""
MODULES = 592
"""Modules."""
TESTS_ONLY = 14_710
"""Statements inside functions that quick tests reach, and no recording and no documented program."""
TESTS_ONLY_SHARE = 0.27
"""Their share of all statements inside functions."""
SURFACE = {
    "public names": 235,
    "exceptions": 25,
    "Retry": 11,
    "Stream": 8,
    "connect": 9,
    "Route": 12,
    "respond": 10,
    "websocket": 8,
    "departures": 24,
    "protocols": 13,
}
"""The interface that somebody has to learn: the number of each, and the options of what is named."""

BYTECODES = {
    "a text delta": 366,
    "a text delta of Decoder": 263,
    "a text delta of AsyncStream": 360,
    "a piece of stream.text": 480,
    "a piece of AsyncStream.text": 477,
    "a fragment in a string": 403,
    "a fragment with quotation marks": 392,
    "a fragment of an array": 403,
    "a fragment that never ends": 404,
    "a relayed token": 620,
    "an answer of 1 events": 12950,
    "an answer of 10 events": 18728,
    "an answer of 54 events": 34780,
    "an answer of Anthropic of 1 words": 20201,
    "an answer of Anthropic of 10 words": 23122,
    "an answer of Anthropic of 54 words": 39175,
}
"""The bytecodes of a piece of an answer and of whole answers, on CPython 3.11."""
C_CALLS = {
    "an answer of 1 events": 328,
    "an answer of 10 events": 517,
    "an answer of Anthropic of 1 words": 568,
    "an answer of Anthropic of 10 words": 682,
}
"""The calls of C code in whole short answers, on CPython 3.11."""
