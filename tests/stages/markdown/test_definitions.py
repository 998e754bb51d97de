"""Link definitions at the start of a paragraph are read line by line."""

from __future__ import annotations

import pytest

from tests.support.markdown import run
from tests.support.tables import in_one_test
from tokenstream.stages._markdown.definitions import DefinitionReader, find_labels, normalize_label

READ = {
    "on one line": ("[a]: /u", ["[a]: /u"], 1),
    "with a title": ("[a]: /u 't'\ntext", ["[a]: /u 't'"], 1),
    "over lines": ("[a\nb]:\n/u\n(t\nt)", ["[a\n    b]:\n    /u\n    (t\n    t)"], 5),
    "two": ("[a]: /u\n[b]: <v w>", ["[a]: /u", "[b]: <v w>"], 2),
    "then text": ("[a]: /u\ntext", ["[a]: /u"], 1),
    "a title on its own line that fails": ("[a]: /u\n't' x", ["[a]: /u"], 1),
    "a title on its own line that never ends": ("[a]: /u\n't\nx", ["[a]: /u"], 1),
    "a title on the same line that never ends": ("[a]: /u 't\nx", [], 0),
    "a title on the same line with more behind it": ("[a]: /u 't' x", [], 0),
    "a title of the wrong kind": ("[a]: /u (t(", [], 0),
    "a label that never ends": ("[a\nb", [], 0),
    "a label in a label": ("[a[b]]: /u", [], 0),
    "a label with an escaped end": ("[a\\]b]: /u", ["[a\\]b]: /u"], 1),
    "a backslash at the end of a label's line": ("[a\\\nb]: /u", ["[a\\\n    b]: /u"], 2),
    "a backslash at the end of a title's line": ("[a]: /u 't\\\nb'", ["[a]: /u 't\\\n    b'"], 2),
    "no label": ("[ ]: /u", [], 0),
    "no colon": ("[a] /u", [], 0),
    "no target": ("[a]:", [], 0),
    "an empty target": ("[a]: <>", ["[a]: <>"], 1),
    "a target that never ends": ("[a]: <u", [], 0),
    "no blank behind the target": ("[a]: <u>'t'", [], 0),
    "brackets in the target": ("[a]: u(v)w", ["[a]: u(v)w"], 1),
    "brackets in the target that do not match": ("[a]: u(v", [], 0),
    "one bracket too many in the target": ("[a]: u)v", [], 0),
    "too many brackets in the target": ("[a]: " + "(" * 40 + ")" * 40, [], 0),
    "a target that no renderer links to": ("[a]: javascript:x", [], 0),
    "an image as data": ("[a]: data:image/png;base64,x", ["[a]: data:image/png;base64,x"], 1),
    "other data": ("[a]: data:text/html,x", [], 0),
    "text": ("a\n[a]: /u", [], 0),
}


@in_one_test("text, defined, text_from", READ.values(), ids=READ)
def test_definitions_are_distinguished_from_text(text: str, defined: list[str], text_from: int) -> None:
    """Definitions that are whole at the end of the paragraph count, in their own words; the rest is text."""
    reader = DefinitionReader()
    for line in text.split("\n"):
        reader.read(line)
    reader.close()

    assert (defined, text_from) == ([definition.text for definition in reader.finished], reader.text_from)


def test_labels_are_compared_without_case_and_white_space() -> None:
    assert "a b ss" == normalize_label(" A \n B ẞ")
    assert ["a", "b\\] c"] == find_labels("[A] [x](y) ![a][B\\] c] [ ] [unclosed")


@pytest.mark.slow
def test_an_escaped_bracket_begins_no_label() -> None:
    assert ["b", "c\\[d"] == find_labels("\\[a] \\\\[b] [c\\[d] \\\\\\[e]")
    assert [] == find_labels("\\[" * 100_000)

    for block in run(["See \\[a] and [b], or " + "\\[x" * 30_000]):
        assert block.unresolved == ("b",)
