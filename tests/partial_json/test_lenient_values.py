"""Values, strings, commas and brackets of models: quotes inside, quotes of other kinds, escapes, cuts."""

from __future__ import annotations

from typing import Any

from tests.partial_json.lenient_texts import INF, NAN, what_is_read, what_is_refused
from tests.support.tables import in_one_test

_READ: list[tuple[str, Any, str]] = [
    # Numbers, literals, tuples and words without quotes.
    (
        '{"t": True, "f": False, "n": None}',
        {"t": True, "f": False, "n": None},
        "python_literal@6 python_literal@17 python_literal@29",
    ),
    (
        '{"t": TRUE, "f": FALSE, "n": [NULL, Null]}',
        {"t": True, "f": False, "n": [None, None]},
        "literal_case@6 literal_case@17 literal_case@30 literal_case@36",
    ),
    (
        '{"a": NaN, "b": Infinity, "c": -Infinity}',
        {"a": NAN, "b": INF, "c": -INF},
        "not_a_number@6 not_a_number@16 not_a_number@31",
    ),
    (
        "{'a': nan, 'b': inf, 'c': -inf}",
        {"a": NAN, "b": INF, "c": -INF},
        "single_quotes@1 not_a_number@6 single_quotes@11 not_a_number@16 single_quotes@21 not_a_number@26",
    ),
    (
        '{"a": 0x1F, "b": -0xa, "c": +1, "d": .5, "e": -.5, "f": +.5e1}',
        {"a": 31, "b": -10, "c": 1, "d": 0.5, "e": -0.5, "f": 5.0},
        "number_form@6 number_form@17 number_form@28 number_form@37 number_form@46 number_form@56",
    ),
    ('{"a": x, "b": hello_world}', {"a": "x", "b": "hello_world"}, "unquoted_value@6 unquoted_value@14"),
    ('{"a": 5 # of $x\n, "b": $x}', {"a": 5, "b": "$x"}, "comment@8 unquoted_value@23"),
    ('{"a": x , "b": x\n, "c": 1}', {"a": "x", "b": "x", "c": 1}, "unquoted_value@6 unquoted_value@15"),
    ('{"b": 2// d\n, "c": true # e\n}', {"b": 2, "c": True}, "comment@7 comment@24"),
    (
        '{a: 1, $b: 2, 1: "x", c-d: 3}',
        {"a": 1, "$b": 2, "1": "x", "c-d": 3},
        "unquoted_key@1 unquoted_key@7 unquoted_key@14 unquoted_key@22",
    ),
    (
        '{"a": (1, 2), "b": (1,), "c": ()}',
        {"a": [1, 2], "b": [1], "c": []},
        "tuple@6 tuple@19 trailing_comma@21 tuple@30",
    ),
    ('{"a": 1, "b": 12 }', {"a": 1, "b": 12}, ""),
    # Commas: too many, missing, or semicolons.
    ('{"a": 1, "b": "x",}', {"a": 1, "b": "x"}, "trailing_comma@17"),
    ("[1, 2, 3,]", [1, 2, 3], "trailing_comma@8"),
    ("[1,,2,]", [1, 2], "extra_comma@3 trailing_comma@5"),
    ('{"a": 1,, "b": 2}', {"a": 1, "b": 2}, "extra_comma@8"),
    ('{"a": 1 "b": "x"}', {"a": 1, "b": "x"}, "missing_comma@8"),
    ('{"a": 1\n b: 2}', {"a": 1, "b": 2}, "missing_comma@9 unquoted_key@9"),
    ("[1\n2]", [1, 2], "missing_comma@3"),
    ('[1\ntrue\n"x"]', [1, True, "x"], "missing_comma@3 missing_comma@8"),
    (
        '[{"a": 1} {"b": 2}{"c": 3} [4]]',
        [{"a": 1}, {"b": 2}, {"c": 3}, [4]],
        "missing_comma@10 missing_comma@18 missing_comma@27",
    ),
    ('{"a": 1; "b": "x"; "c": 2}', {"a": 1, "b": "x", "c": 2}, "semicolon@7 semicolon@17"),
    # Wrong, doubled or too many, where only one value can be meant.
    ('{"l": [1, 2}', {"l": [1, 2]}, "wrong_closer@11"),
    ('{"l": [1, 2}}', {"l": [1, 2]}, "wrong_closer@11 extra_closer@12"),
    ('{"a": 1]', {"a": 1}, "wrong_closer@7"),
    ('[{"a": 1]', [{"a": 1}], "wrong_closer@8"),
    ('{"l": (1, 2]}', {"l": [1, 2]}, "tuple@6 wrong_closer@11"),
    # Models' answers were reported with such an end: vllm-project/vllm-ascend#16001.
    ('{"a": 1, "b": "x"}}', {"a": 1, "b": "x"}, "extra_closer@18"),
    # And with such braces: run-llama/llama_index#7886, pinecone-io/python-sdk#456.
    ('{{"a": 1}}', {"a": 1}, "doubled_brace@1"),
    ('{{"a": {{"b": 1}}}}', {"a": {"b": 1}}, "doubled_brace@1 doubled_brace@8"),
    ('{{"a": {"b": 1}}}', {"a": {"b": 1}}, "doubled_brace@1"),
    ('{"l": [1, 2', {"l": [1]}, "unfinished_value@10 missing_end@11"),
    # Comments, odd white space, dots, codes of terminals.
    ('{"a": 1, // one\r"b": # two\n "x" # three\n}', {"a": 1, "b": "x"}, "comment@9 comment@21 comment@32"),
    (
        '{\xa0"a":\u200b1,\x00"b":\u3000"x"}',
        {"a": 1, "b": "x"},
        "odd_space@1 odd_space@6 odd_space@9 odd_space@14",
    ),
    # Models' answers were reported with such dots: mangiucugna/json_repair#43.
    ('{"a": 1, "b": [1, ..., 2, …], ...}', {"a": 1, "b": [1, 2]}, "ellipsis@18 ellipsis@26 ellipsis@30"),
    ('{"a": [1 ...], ... }', {"a": [1]}, "ellipsis@9 ellipsis@15"),
    # A number, a word or a key that more text might have changed is left out.
    ("[1, ``", [1, ""], "backticks@4 missing_end@6"),
    ("{", {}, "missing_end@1"),
    ("[1,", [1], "missing_end@3"),
    ('{"a', {}, "unfinished_value@1 missing_end@3"),
    ('{"a":', {}, "unfinished_value@1 missing_end@5"),
    ("{\"b\": 1, 'a' // c\n : ", {"b": 1}, "single_quotes@9 comment@13 unfinished_value@9 missing_end@21"),
    ('{"a": 1,', {"a": 1}, "missing_end@8"),
    ('{"a": 12', {}, "unfinished_value@6 missing_end@8"),
    ('{"a": 12 ', {"a": 12}, "missing_end@9"),
    ('{"a": tru', {}, "unfinished_value@6 missing_end@9"),
    ('{"a": true', {"a": True}, "missing_end@10"),
    ('{"a": True', {}, "unfinished_value@6 missing_end@10"),
    ('{"a": x', {}, "unfinished_value@6 missing_end@7"),
    ("{a", {}, "unfinished_value@1 missing_end@2"),
    ("[[1], [2", [[1], []], "unfinished_value@7 missing_end@8"),
]
"""Texts, with their values and the repairs that they take."""
_REFUSED: list[tuple[str, int, Any]] = [
    # A value with no reading: nothing of it shows, unless it seemed whole.
    ('{"a": 1,000}', 6, {}),
    ("[1,000]", 3, [1]),
    ('{"a": 007}', 6, {}),
    ('{"a": 5.}', 6, {}),
    ('{"a": 1/2}', 6, {}),
    ('{"a": 1_000}', 6, {}),
    ('{"a": +-1}', 6, {}),
    ('{"a": 2024-01-05}', 6, {}),
    ('{"a": undefined}', 6, {}),
    ('{"a": none}', 6, {}),
    ('{"a": hello world}', 6, {}),
    ('{"a": http://x.y}', 6, {}),
    ('{"a": Date("x")}', 6, {}),
    ("{\"a\": r'x'}", 6, {}),
    ('{"a": (1)}', 8, {"a": [1]}),
    ('{"a": 5 kg}', 8, {"a": 5}),
    ('{"a": 1"b": 2}', 6, {}),
    ('{"a": [$1,200]}', 7, {"a": []}),
    ('{"a": x)}', 7, {"a": "x"}),
    ('{"a": @}', 6, {}),
    ("[x]", 3, None),
    ('{"a": word' + " " * 1_100 + "}", 6, {}),
    # What is missing might be something else.
    ('{"a": [5 kg, 3 kg]}', 9, {"a": [5]}),
    ("[1 true]", 3, [1]),
    ("[,1]", 1, []),
    ('{"a": {, "b": 1}', 7, {"a": {}}),
    ("[1 2]", 3, [1]),
    ("[[1][0]]", 4, [[1]]),
    ("[1; 2]", 2, [1]),
    ('{"a": 1 b: 2}', 8, {"a": 1}),
    ('{"a": , "b": 1}', 6, {}),
    ('{"a"}', 4, {}),
    ('{"a", "b"}', 4, {}),
    ('{"a: "x"}', 6, {}),
    ('{"a: 1, "b": 2}', 9, {}),
    ('{"a" 1}', 5, {}),
    ("{'a' true}", 5, {}),
    ('{"a" = 1}', 5, {}),
    ("{1, 2}", 1, {}),
    ("{a b: 1}", 1, {}),
    ("{: 1}", 1, {}),
    ("{a" + " " * 1_100 + ": 1}", 1, {}),
    ("[1: 2]", 1, []),
    ("(1)", 3, None),
    # What follows a wrong bracket has two places.
    ('{"l": [1, 2}, "b": 3}', 12, {"l": [1, 2]}),
    ('{"x": {"l": [1, 2}, "b": 3}', 20, {"x": {"l": [1, 2]}}),
    ("[[1, 2}, [3]]", 9, [[1, 2]]),
    ('{"a": [}', 7, {"a": []}),
    ('{"a": [1, 2]]}', 13, {"a": [1, 2]}),
    ("[1)", 2, [1]),
    ('{"a": {"b": 1}}, "c": 2}', 15, {"a": {"b": 1}}),
    ("{{name}}", 2, {}),
    ('{{{"a": 1}}}', 2, {}),
    # A comment that does not end may hold the rest of the document.
    ('{"a": 1, // one "b": "x"}', 9, {"a": 1}),
    ('{"a": 1 /* one */, "b": "x"}', 8, {"a": 1}),
    ('{"a": /x/}', 6, {}),
    ('{"a": 1 /', 8, {"a": 1}),
    ("[...]", 1, []),
    ("{...}", 1, {}),
    ('{"a": ...}', 6, {}),
    ("[1, .x]", 4, [1]),
    ('{"a": \x1b[1;32m1\x1b[0m}', 6, {}),
    ('{\\"a\\": 1}', 1, {}),
    ("{&quot;a&quot;: 1}", 1, {}),
    ('{"a": ~1}', 6, {}),
    ("[1, ```]", 4, [1]),
    ('{"a": [\n#fff,\n#000\n]}', 8, {"a": []}),
]
"""Texts, with the place where each is refused and the value until there."""
_STRINGS: list[tuple[str, Any, str]] = [
    # What follows a quote shows that it does not end the string.
    ('{"b": "say "hi" now"}', {"b": 'say "hi" now'}, "inner_quote@11 inner_quote@14"),
    ('{"b": "a "quoted", word", "c": 1}', {"b": 'a "quoted", word', "c": 1}, "inner_quote@9 inner_quote@16"),
    (
        '{"b": "He said "yes", "no" and "maybe"."}',
        {"b": 'He said "yes", "no" and "maybe".'},
        "inner_quote@15 inner_quote@19 inner_quote@22 inner_quote@25 inner_quote@31 inner_quote@37",
    ),
    ('{"size": "5" wide"}', {"size": '5" wide'}, "inner_quote@11"),
    ('{"html": "<a href="x">y</a>"}', {"html": '<a href="x">y</a>'}, "inner_quote@18 inner_quote@20"),
    ('{"a": "x", y", "b": 1}', {"a": 'x", y', "b": 1}, "inner_quote@8"),
    ('{"a": "12" x 14"", "b": 1}', {"a": '12" x 14"', "b": 1}, "inner_quote@9 inner_quote@15"),
    ("[\"a\", b'x']", ["a", "x"], "string_prefix@6 single_quotes@7"),
    ('["a", -1, 2, true]', ["a", -1, 2, True], ""),
    ('{"a": "b"c"\n"d": 1}', {"a": 'b"c', "d": 1}, "inner_quote@8 missing_comma@12"),
    ('{"a": "x", ... }', {"a": "x"}, "ellipsis@11"),
    ('{"a": "x", , "b": 1}', {"a": "x", "b": 1}, "extra_comma@11"),
    ("{\"it's\": 'it's'}", {"it's": "it's"}, "single_quotes@9 inner_quote@12"),
    ("{'b': 'it\\'s'}", {"b": "it's"}, "single_quotes@1 single_quotes@6"),
    ('{"a": "x "y" z", "k\\"k\\n": 1}', {"a": 'x "y" z', 'k"k\n': 1}, "inner_quote@9 inner_quote@11"),
    ('{"a": "x"' + " " * 1_100 + "}", {"a": "x"}, ""),
    # Single, smart, in backticks, with the prefixes of Python.
    ("{'a': 1, \"b\": 'x'}", {"a": 1, "b": "x"}, "single_quotes@1 single_quotes@14"),
    ("{'b': 'say \"hi\"'}", {"b": 'say "hi"'}, "single_quotes@1 single_quotes@6"),
    (
        "{“a”: “x”, ‘b’: ‘it’s’}",
        {"a": "x", "b": "it’s"},
        "smart_quotes@1 smart_quotes@6 smart_quotes@11 smart_quotes@16 inner_quote@19",
    ),
    ("{`a`: `x\ny`}", {"a": "x\ny"}, "backticks@1 backticks@6 raw_control@8"),
    (
        "{'a': b'x', 'b': u\"y\"}",
        {"a": "x", "b": "y"},
        "single_quotes@1 string_prefix@6 single_quotes@7 single_quotes@12 string_prefix@17",
    ),
    # Control characters and escapes, as they are written.
    (
        '{"b": "line1\nline2\tx\r\n"}',
        {"b": "line1\nline2\tx\r\n"},
        "raw_control@12 raw_control@18 raw_control@20 raw_control@21",
    ),
    ('{"a\nb": 1}', {"a\nb": 1}, "raw_control@3"),
    (
        '{"b": "C:\\path\\x \\d+ it\\\'s \\u12 \\ud83d!"}',
        {"b": "C:\\path\\x \\d+ it's \\u12 \ud83d!"},
        "bad_escape@9 bad_escape@14 bad_escape@17 bad_escape@23 bad_escape@27",
    ),
    (
        "{'a': 'say \\\"x\\\" \\'y\\' \\“z\\”'}",
        {"a": "say \"x\" 'y' “z”"},
        "single_quotes@1 single_quotes@6 bad_escape@23 bad_escape@26",
    ),
    # Where nothing else can be meant; a string in which something else can be is told.
    (r'{"a": "\alpha \beta"}', {"a": r"\alpha \beta"}, "bad_escape@7 kept_escape@14"),
    (r'{"a": "C:\Users\name"}', {"a": r"C:\Users\name"}, "bad_escape@9 kept_escape@15"),
    (
        r"{'a': 'C:\Users\name'}",
        {"a": r"C:\Users\name"},
        "single_quotes@1 single_quotes@6 bad_escape@9 kept_escape@15",
    ),
    (r'{"\frac": "\frac{1}{2}"}', {"\frac": "\frac{1}{2}"}, ""),
    (r'{"\alpha": "\frac{1}{2}"}', {r"\alpha": r"\frac{1}{2}"}, "bad_escape@2 kept_escape@12"),
    (r'["\d", "\b", "\f1", "\b x"]', [r"\d", "\b", "\f1", "\b x"], "bad_escape@2"),
    (r'["\frac \alpha \frac"]', ["\frac \\alpha \\frac"], "bad_escape@8 mixed_escapes@8 kept_escape@15"),
    (r'"\bold"', "\bold", ""),
    (r'["\bcat\b", "\d+\f"]', ["\bcat\b", r"\d+\f"], "bad_escape@13 kept_escape@16"),
    (r'["\nu", "\times", "\rho"]', ["\nu", "\times", "\rho"], ""),
    (
        r'["\alpha.\nThen \nabla \nu\theta"]',
        ["\\alpha.\nThen \\nabla \\nu\\theta"],
        "bad_escape@2 mixed_escapes@9 kept_escape@16 kept_escape@23 kept_escape@26",
    ),
    (r'["\alpha \\ b \n c"]', ["\\alpha \\ b \n c"], "bad_escape@2 mixed_escapes@9"),
    (r'["C:\new\Users"]', ["C:\new\\Users"], "bad_escape@8 mixed_escapes@8"),
    (rf'["C:\Users\n{"x" * 300}"]', [f"C:\\Users\n{'x' * 300}"], "bad_escape@4 mixed_escapes@10"),
    (r'["C:\Users\\name"]', [r"C:\Users\name"], "bad_escape@4 mixed_escapes@10"),
    (r'["\$5\nx \"y\" \u00e9\/"]', ['\\$5\nx "y" é/'], "bad_escape@2"),
    # What stands alone on its line needs no comma.
    ('{"a": "", "b": ""}', {"a": "", "b": ""}, ""),
    ('[\n"a"\n"b",\n"c"\n"d"\n]', ["a", "b", "c", "d"], "missing_comma@6 missing_comma@15"),
    # Half an escape is as good as not written.
    ('{"a": "x y', {"a": "x y"}, "missing_end@10"),
    ('{"a": "x\\', {"a": "x"}, "missing_end@9"),
    ('{"a": "x\\u12', {"a": "x"}, "missing_end@12"),
    (r'["\d", "x\b', [r"\d", "x"], "bad_escape@2 missing_end@11"),
    (r'{"a": "\alpha \nab', {"a": "\\alpha "}, "bad_escape@7 missing_end@18"),
    (r'{"a": "C:\Users\name', {"a": "C:\\Users"}, "bad_escape@9 missing_end@20"),
    ('{"a": "x\\ud83d', {"a": "x"}, "missing_end@14"),
    ('{"a": "x\\q', {"a": "x\\q"}, "bad_escape@8 missing_end@10"),
    # Models' answers were reported with such a start: noamgat/lm-format-enforcer#92.
    ('"a": "x", "b": "y', {"a": "x", "b": "y"}, "missing_opener@0 missing_end@17"),
]
_REFUSED_STRINGS: list[tuple[str, int, Any]] = [
    # A quote may end the string or belong to it, or one may be missing.
    ('{"b": "say "hi" // there"}', 14, {"b": 'say "hi'}),
    ('{"a": "x "] y"}', 13, {"a": 'x "] y'}),
    ('{"a": "x", .5}', 14, {"a": 'x", .5}'}),
    ('{"a": "x "y" z"' + " " * 1_100 + "}", 14, {"a": 'x "y" z'}),
    ('{"a": "x, "b": "y"}', 12, {"a": 'x, "b'}),
    ('{"a": "C:\\"}', 12, {"a": 'C:"}'}),
    ('{"a": "C:\\dir\\", "b": "x"}', 19, {"a": 'C:\\dir", "b'}),
    ('{"a": "some text}', 17, {"a": "some text}"}),
    ('{"b": "say "hi"}', 14, {"b": 'say "hi'}),
    ('{"b": ""quoted" word"}', 7, {"b": ""}),
    ('{"a": """x"""}', 7, {"a": ""}),
    ('["a"\n"b"\n]', 3, ["a"]),
    ('[\n"a\n"b"\n"c"\n]', 7, ['a\n"b']),
    ('["x", y", "z"]', 3, ["x"]),
    ('["one" two", "three"]', 5, ["one"]),
    ('["x, " y"]', 5, ["x, "]),
    ("{'a': 'It''s'}", 9, {"a": "It"}),
    ('{"a": "b"", "c": 1}', 8, {"a": "b"}),
    ('{"a": "x "y" z"', 14, {"a": 'x "y" z'}),
    ('{"a": "x}\nHope this helps', 25, {"a": "x}\nHope this helps"}),
    ("{\"b': 1}", 1, {}),
    ('{"a": 1, "b: 2}', 9, {"a": 1}),
    ('["a" "b"]', 3, ["a"]),
    ("{\"a\": 'a'+'b'}", 8, {"a": "a"}),
    ('{"a": "x" if y else "z"}', 22, {"a": 'x" if y else "z'}),
    ('{"b": "the "key": value"}', 15, {"b": 'the "key'}),
    ('{"a": "x "y" z", // c\n"b": 1}', 14, {"a": 'x "y" z'}),
    ('{"b": "a "}" c"}', 11, {"b": "a "}),
    ('{"items": [{"a": 1}, "n": 3}', 23, {"items": [{"a": 1}, "n"]}),
    ('{“a”: “x", “b”: 1}', 13, {"a": 'x", “b'}),
    ('{"a": "say "hi" no', 18, {"a": 'say "hi" no'}),
]


@in_one_test("text, value, repairs", [*_READ, *_STRINGS])
def test_values_and_strings_are_read_as_they_are_meant(text: str, value: Any, repairs: str) -> None:
    assert (repr(value), repairs) == what_is_read(text)


@in_one_test("text, offset, value", [*_REFUSED, *_REFUSED_STRINGS])
def test_values_and_strings_with_two_readings_are_refused(text: str, offset: int, value: Any) -> None:
    """A quote that may end its string or belong to it, or may be missing, is refused: nothing is guessed."""
    assert (offset, repr(value)) == what_is_refused(text)
