"""The budget of the package: numbers that only fall.

Whoever adds lines or names removes as many. `python -m tests.house` prints them as they are, and
`python -m tests.evidence` those of statements.
"""

LINES = 152_570
"""Lines of all kinds."""
CODE = 85_340
"""Lines of code, without imports, docstrings, comments and blank lines."""
MODULES = 592
"""Modules."""
TESTS_ONLY = 14_850
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
