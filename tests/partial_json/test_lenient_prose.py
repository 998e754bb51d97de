"""What models and gateways put around a document."""

from __future__ import annotations

from typing import Any

from tests.partial_json.lenient_texts import NAN, what_is_read, what_is_refused
from tests.support.tables import in_one_test

_READ: list[tuple[str, Any, str]] = [
    # Prose, list marks, tags, code; brackets in it begin no document.
    (
        'Here is the JSON: {"a": 1, "b": "x"} Hope this helps!',
        {"a": 1, "b": "x"},
        "leading_text@0 trailing_text@37",
    ),
    ('json\n{"a": 1}', {"a": 1}, "leading_text@0"),
    ('Use {curly} braces, {{x}} and {}: {"a": 1}', {"a": 1}, "leading_text@0"),
    ('I found [2] results, [x] or [1, 2]: {"a": 1}', {"a": 1}, "leading_text@0"),
    ('arr["a"] then {"b": 2}', {"b": 2}, "leading_text@0"),
    ('- {"a": 1}', {"a": 1}, "leading_text@0"),
    ('true story: {"a": 1}', {"a": 1}, "leading_text@0"),
    ('"Yes" she said {"a": 1}', {"a": 1}, "leading_text@0"),
    ('“Yes,” she said: {"a": 1}', {"a": 1}, "leading_text@0"),
    ("'{\"a\": 1}'", {"a": 1}, "leading_text@0 trailing_text@9"),
    ('data: {"a": 1}', {"a": 1}, "leading_text@0"),
    ('[^1] as noted: {"a": 1}\n[^1]: a source', {"a": 1}, "leading_text@0 trailing_text@24"),
    ('{"a": 1}\n[1] a source\n[2] [x] another', {"a": 1}, "trailing_text@9"),
    ('{"a": 1}\n[the cook’s and the baker\'s]', {"a": 1}, "trailing_text@9"),
    ("[1, 2]\n[1]: a source", [1, 2], "trailing_text@7"),
    ("[1, 2, ...]\n[a](b.example)", [1, 2], "ellipsis@7 trailing_text@12"),
    ('const x = {"a": 1};', {"a": 1}, "leading_text@0 semicolon@18"),
    ('<tool_call>\n{"a": 1}\n</tool_call>', {"a": 1}, "leading_text@0 trailing_text@21"),
    ("Here: {a: 1}", {"a": 1}, "leading_text@0 unquoted_key@7"),
    ("Here: {{'a': 1}}", {"a": 1}, "leading_text@0 doubled_brace@7 single_quotes@8"),
    ('Here: [{"a": 1}, {"b": 2}]', [{"a": 1}, {"b": 2}], "leading_text@0"),
    ('Here: ["a", "b"].', ["a", "b"], "leading_text@0 trailing_text@16"),
    ("Here is the list: [1, 2, 3]", [1, 2, 3], "leading_text@0"),
    ("Here is the result: {}", {}, "leading_text@0"),
    ('{"a": 1}[DONE]', {"a": 1}, "trailing_text@8"),
    ('{"a": 1}; ) . !', {"a": 1}, "semicolon@8 trailing_text@10"),
    ("[1, 2, 3]\nHope this helps!", [1, 2, 3], "trailing_text@10"),
    ('Here:\n```json\n"a"\n```\nDone', "a", "leading_text@0 code_fence@6 trailing_text@22"),
    ('{"a": 1},', {"a": 1}, "extra_comma@8"),
    ('\ufeff\u200b{"a": 1}\x00', {"a": 1}, "odd_space@0 odd_space@1 odd_space@10"),
    ('[TOOL_CALLS][{"a": 1}]', [{"a": 1}], "leading_text@0"),
    ('[JSON]\n{"a": 1}\n[/JSON]', {"a": 1}, "leading_text@0 trailing_text@16"),
    ('[Pull request #39](https://x.y/z?a=[1]) is open: {"a": 1}', {"a": 1}, "leading_text@0"),
    ('// one {"a": 0}\n {"a": 1} // two {"b": 2}', {"a": 1}, "comment@0 comment@26"),
    ('/* one */ {"a": 1} /* two */', {"a": 1}, "leading_text@0 trailing_text@19"),
    ('\x1b[32m{"a": 1}\x1b[0m', {"a": 1}, "leading_text@0 trailing_text@13"),
    ('{"a": 1}\n# Notes {x}', {"a": 1}, "trailing_text@9"),
    ("[true, null]", [True, None], ""),
    # Whatever the fence says that it holds, and also where it does not end.
    ('```json\n{"a": 1}\n```', {"a": 1}, "code_fence@0"),
    ('~~~JSON\r\n{"a": 1}\r\n~~~\r', {"a": 1}, "code_fence@0"),
    ('Sure!\n```\n{"a": 1}\n```\nDone.', {"a": 1}, "leading_text@0 code_fence@6 trailing_text@23"),
    ('```json\n{"a": 1}', {"a": 1}, "code_fence@0"),
    ('```json\n"abc"\n```\nHope', "abc", "code_fence@0 trailing_text@18"),
    ('```python\nx = {"a": 1}\n```', {"a": 1}, "code_fence@0 leading_text@10"),
    ('```py code``` {"a": 1}', {"a": 1}, "leading_text@0 code_fence@10"),
    ('```json\n{"a": [1, 2\n```\nThat is all', {"a": [1, 2]}, "code_fence@0 missing_end@20 trailing_text@24"),
    ('```json\n```\nnothing: {"a": 1}', {"a": 1}, "code_fence@0 leading_text@12"),
    ("```json\n[1, 2, 3]\n``` are {x}", [1, 2, 3], "code_fence@0 trailing_text@22"),
    ('<think>maybe {"a": 0}</think>{"a": 1}', {"a": 1}, "reasoning@0"),
    ('I think </think> {"a": 1} <think>is it?</think>', {"a": 1}, "leading_text@0 reasoning@8 reasoning@26"),
    ("It is 42.</think>\n\n42", 42, "leading_text@0 reasoning@9"),
    ('{"a": 1}</think>', {"a": 1}, "trailing_text@8"),
    ('{"a": 1}\n```json\n{"a": 1}\n```', {"a": 1}, "code_fence@9 repeated_document@17"),
    (
        '```json\n{"a": 1\n```\n```json\n{"a": 1}\n```',
        {"a": 1},
        "code_fence@0 missing_end@16 code_fence@20 repeated_document@28",
    ),
    ('```json\n{"a": 1}\n```\n"Enjoy"', {"a": 1}, "code_fence@0 trailing_text@21"),
    # Also if it comes twice, after a placeholder, without its brace, or without any bracket.
    ('{}{"a": 1}', {"a": 1}, "empty_placeholder@0"),
    ('{} {"a": {}}', {"a": {}}, "empty_placeholder@0"),
    ('It: { }\n{"a": 1}', {"a": 1}, "leading_text@0 empty_placeholder@4"),
    ("{}\nagain: {}", {}, "trailing_text@3 repeated_document@10"),
    ("```json\n{}\n```\n```json\n{}\n```", {}, "code_fence@0 code_fence@15 repeated_document@23"),
    ('{{"a": 1}}{{"a": 1}}', {"a": 1}, "doubled_brace@1 repeated_document@10"),
    ('{"a": 1}{"a": 1}', {"a": 1}, "repeated_document@8"),
    ('["a"]["a"', ["a"], "repeated_document@5 missing_end@9"),
    ('{"a": 1}, {"a": 1}', {"a": 1}, "extra_comma@8 repeated_document@10"),
    ('{"a": [1, NaN]}{"a": [1, NaN]}', {"a": [1, NAN]}, "not_a_number@10 repeated_document@15"),
    ('{"a": 1} again: {"a": 1}', {"a": 1}, "trailing_text@9 repeated_document@16"),
    ('{"a": 1, "b": 2}{"b": 2, "a": 1}', {"a": 1, "b": 2}, "repeated_document@16"),
    ('"a": 1, "b": "x"}', {"a": 1, "b": "x"}, "missing_opener@0"),
    (
        "'a': 1, 'b': {'c': 2}}",
        {"a": 1, "b": {"c": 2}},
        "missing_opener@0 single_quotes@0 single_quotes@8 single_quotes@14",
    ),
    ("“a”: 1, “b”: 2}", {"a": 1, "b": 2}, "missing_opener@0 smart_quotes@0 smart_quotes@8"),
    ('"abc"', "abc", ""),
    ('"abc"\ufeff', "abc", "odd_space@5"),
    ("42 ", 42, ""),
    ("null", None, ""),
    ("True", True, "python_literal@0"),
]
"""Texts, with their values and the repairs that they take."""
_REFUSED: list[tuple[str, int, Any]] = [
    # Without a document nothing shows, except where the text begins as an array does.
    ("I cannot do that.", 17, None),
    ("I cannot {do} that.", 19, None),
    ("See [1, 2].", 11, None),
    ("[DONE]", 6, None),
    ("Sources:\n[1]\n[2]", 16, None),
    ("Here: [x, y]", 12, None),
    ('Here: [[[[["a", "b"]]]]]', 23, [[[["a", "b"]]]]),
    ("Here: {a b}", 11, None),
    ('Here: {"a"}', 11, None),
    ("Here: {" + " " * 1_100 + '"a": 1}', 1114, None),
    ("Here: {", 7, None),
    ('Here: {"a', 9, None),
    ("``code`` ~ x", 12, None),
    ('"Hello there, I cannot do that.', 31, None),
    ('"a" + "b"', 9, None),
    ("'a'", 3, None),
    ('\'Tis {"a": 1}', 13, None),
    ("'a {\"b' c\": 1}", 0, None),
    ("'" + "x" * 1_100, 0, None),
    ('<think>never closed {"a": 1}', 28, None),
    ('// {"a": 1}', 11, None),
    ('Here: {\\"a\\": 1}', 16, None),
    ("[see](http://x.y)", 17, None),
    ("[NULL_FIELD] is empty", 21, None),
    ("[" + "x" * 300 + "](http://x.y)", 1, []),
    ("[" + " " * 1_100 + "x](http://x.y)", 1_101, []),
    # What may be two documents, or prose: the first stays readable.
    ('{"a": 1}{"a": 1', 8, {"a": 1}),
    ('"a": 1, "b": 2', 14, {"a": 1}),
    ('{"a": 1}{"b": 2}', 8, {"a": 1}),
    ('{"a": 1}, {"b": 2}', 10, {"a": 1}),
    ('{"a": 1}, as you wished', 8, {"a": 1}),
    ('{"a": 1}{"a": 1.0}', 8, {"a": 1}),
    ('{"a": [1]}{"a": [2]}', 10, {"a": [1]}),
    ('{"a": 1}{"a"', 8, {"a": 1}),
    ('{"a": 1}[1]', 8, {"a": 1}),
    ('{"a": 1}[' + " " * 1_100 + "1]", 8, {"a": 1}),
    ("{}[1]", 2, {}),
    ('{} // none\n {"a": 1}', 12, {}),
    ('/* {"a": 0} */ {"a": 1}', 15, {"a": 0}),
    ('It {"a": 0}</think>{"a": 1}', 19, {"a": 0}),
    ('Result: {}\nExample: {"a": 1}', 20, {}),
    ('```json\n{}\n```\n```json\n{"a": 1}\n```', 23, {}),
    ('It: {"a": 1}}', 12, {"a": 1}),
    ('[see {"a": 1}]', 1, []),
    ('(see [a] {"a": 1}]', 17, {"a": 1}),
    ('{"a": 1} 5', 9, {"a": 1}),
    ("[1] According to the source, no.", 4, [1]),
    ("[1, 2]\n[3] is another", 7, [1, 2]),
    ("[a, b] is the list, not:\n[1, 2]", 1, []),
    ('{"a": 1}\n[(1, 2)]', 9, {"a": 1}),
    ('{"a": 1}\n[b\'c', 9, {"a": 1}),
    (f'{{"a": 1}}\n[{"b " * 100}]', 9, {"a": 1}),
    ("[Note] I cannot do that.", 24, None),
    ('"Yes" {"a": 1}', 0, None),
    ('"Recipe": {"a": 1}', 18, {"Recipe": {"a": 1}}),
    ('Given {"type": "object"} here: {"a": 1}', 31, {"type": "object"}),
    ('{"a": 1} or: {"a": 2}', 13, {"a": 1}),
    ('"' + "x" * 1_100 + '" he said', 1103, "x" * 1_100),
    ('"' + "x" * 1_100, 1101, "x" * 1_100),
]
"""Texts, with the place where each is refused and the value until there."""


@in_one_test("text, value, repairs", _READ)
def test_text_around_a_document_is_left_out(text: str, value: Any, repairs: str) -> None:
    """Text around a document is left out; a document may come twice, or without a bracket."""
    assert (repr(value), repairs) == what_is_read(text)


@in_one_test("text, offset, value", _REFUSED)
def test_no_document_and_two_documents_are_refused(text: str, offset: int, value: Any) -> None:
    """A text with no document is refused, and so is one with two: the first stays readable."""
    assert (offset, repr(value)) == what_is_refused(text)
