"""Texts that are no JSON, after what the tests of json_repair try, each with what it can mean.

The texts are made here. A text with one reading means that; one with two, and which they are is
said, is refused by whoever does not guess.
"""

from __future__ import annotations

from typing import Any

from tests.compare.conformance.json_case import JSONCase

_ONE = [
    # Quotes.
    ("{'k': 'tea', 'l': true, \"m\": null}", {"k": "tea", "l": True, "m": None},
     "single quotes for double ones"),
    ('{"k": cup, "l": 3}', {"k": "cup", "l": 3}, "a word without quotes"),
    ('{"k": "tea", city: "Oslo"}', {"k": "tea", "city": "Oslo"}, "a key without quotes"),
    ("{“k”: “tea”}", {"k": "tea"}, "typographic quotes"),
    ('{"k": "a "word" here"}', {"k": 'a "word" here'}, "quotes inside a string that are not escaped"),
    ('["one "two" three"]', ['one "two" three'], "quotes inside a string that are not escaped"),
    ('{"note": "first, "second" and "third". Done"}', {"note": 'first, "second" and "third". Done'},
     "quotes inside a string that are not escaped"),
    ('{ "text": "[HERE]("https://a.test")" }', {"text": '[HERE]("https://a.test")'},
     "a link with quotes in a string"),
    ('{ "text": "[HERE](", "l": true }', {"text": "[HERE](", "l": True}, "it is JSON"),
    ('{"k": "say \\"hi\\""', {"k": 'say "hi"'}, "the closing brace is missing"),
    ("{\"k\": 'it\"s'}", {"k": 'it"s'}, "a double quote in single ones"),
    ('{"k": "it\\\'s"}', {"k": "it's"}, "an escaped quote that needs no escape"),
    ("{'k': \"{\\\"l\\\": 1}\"}", {"k": '{"l": 1}'}, "a string that holds JSON stays a string"),
    ('{""k"": ""tea""}', {"k": "tea"}, "every quote is doubled"),
    ('{"k": tea", "l": cup"}', {"k": "tea", "l": "cup"}, "the opening quote is missing twice"),
    ("{'text': 'some{words in}braces'}", {"text": "some{words in}braces"}, "single quotes for double ones"),
    ('{"k": "\\u0074\\u0065\\u0061"', {"k": "tea"}, "the closing brace is missing"),
    ('{"k": "tea\nfor\ttwo"}', {"k": "tea\nfor\ttwo"}, "a line break and a tab in a string, not escaped"),
    ("{'k': 'two\nlines\\le'}", {"k": "two\nlines\\le"}, "an escape that JSON has not"),
    ('{"html": "<h3 id="top">Why "more"?</h3>"}', {"html": '<h3 id="top">Why "more"?</h3>'},
     "quotes inside a string that are not escaped"),
    ('[{"k": "a", "tag": "#a"}, {"k": "a "b" c.", "tag": "#b"}]',
     [{"k": "a", "tag": "#a"}, {"k": 'a "b" c.', "tag": "#b"}],
     "quotes inside a string that are not escaped"),
    ("{'名_ascii':'统一'}", {"名_ascii": "统一"}, "single quotes for double ones"),
    ('{"a" "b"}', {"a": "b"}, "the colon is missing"),
    # Ends that did not come.
    ('Here it is: {"k": "va', {"k": "va"}, "the end is missing"),
    ('{"k": "val\\', {"k": "val"}, "the end is missing, and so is the end of an escape"),
    ('[{"k": ["Mrs."}, {"k": ["Mr."]}]', [{"k": ["Mrs."]}, {"k": ["Mr."]}], "a closing bracket is missing"),
    ("[", [], "the closing bracket is missing"),
    ("{", {}, "the closing brace is missing"),
    ("[3, 4, 5,", [3, 4, 5], "the closing bracket is missing"),
    ('{"names":["Eva", "Ida",', {"names": ["Eva", "Ida"]}, "the end is missing"),
    ('{"names":["Eva", "Ida", "Pet', {"names": ["Eva", "Ida", "Pet"]}, "the end is missing"),
    ('{"k": {"l": [3, 4, 5 ', {"k": {"l": [3, 4, 5]}}, "the end is missing"),
    ('{"k": "tea", "n": 30, "city": "New Yo', {"k": "tea", "n": 30, "city": "New Yo"}, "the end is missing"),
    ('[{"k": "tea", "l', [{"k": "tea"}], "a key that was cut has no value"),
    ("[[3\n\n]", [[3]], "a closing bracket is missing"),
    ("{k: [}", {"k": []}, "the closing bracket of the array is missing"),
    ('{"k": "tea" /* note', {"k": "tea"}, "a comment that does not end"),
    ("[- ", [], "a sign alone is not a number"),
    # Commas, colons, brackets.
    ("[3, 4, 5, ...]", [3, 4, 5], "dots for more of the same"),
    ("[3, 4, '...', 5]", [3, 4, "...", 5], "dots in quotes are a string"),
    ("[3, 4, ... , 5]", [3, 4, 5], "dots for more of the same"),
    ("[true, false, null, ...]", [True, False, None], "dots for more of the same"),
    ('{"k": cup , }', {"k": "cup"}, "a comma before the closing brace"),
    ('{"k": [3, 4,], }', {"k": [3, 4]}, "commas before closing brackets"),
    ('{"k": 3 "l": 4}', {"k": 3, "l": 4}, "a comma is missing"),
    ('{"k": ["a", "b"}, "l": ["c"]}', {"k": ["a", "b"], "l": ["c"]},
     "a brace closes the array, because a key follows"),
    ('[{"k":"v"}},{"k":"w"}]', [{"k": "v"}, {"k": "w"}], "one closing brace too many inside the array"),
    ('["k":"v"}]', [{"k": "v"}], "an opening brace is missing"),
    ('{"k": "v"}, "l": "w"}', {"k": "v", "l": "w"}, "the object was closed too early"),
    # Text around it.
    ('````{ "k": "v" }```', {"k": "v"}, "a fence around the document"),
    ('{ "k": "", "l": [ { "m": 3} ] \n}```', {"k": "", "l": [{"m": 3}]}, "the end of a fence"),
    ("Here is what was found: ```json { 'k': 'v' } ```", {"k": "v"}, "a fence around the document"),
    ('\n  The next items are:\n  ```json\n  { "k": "v" }\n  ```', {"k": "v"}, "a fence around the document"),
    ('{"k": "v"} k:', {"k": "v"}, "text behind the document"),
    (' - { "k": ["v", "w"] }', {"k": ["v", "w"]}, "a dash of a list before the document"),
    ('{"k": "```json"', {"k": "```json"}, "a fence in a string is text"),
    ('**Choice**: this, that (so far):\n\n```json\n{"k": "v"}\n```', {"k": "v"}, "prose and a fence"),
    ('(1) Keep it in mind.\n\n```json\n{"k": "v"}\n```', {"k": "v"}, "prose and a fence"),
    ("This is it:\n```json\n(3, 4)\n```", [3, 4], "a Python tuple in a fence"),
    ('{"t": {"code": "# note\\nc = {\'a\': {}}"}}}', {"t": {"code": "# note\nc = {'a': {}}"}},
     "a closing brace too many"),
    # Comments.
    ('/* note */ {"k": "v"}', {"k": "v"}, "a comment"),
    ('{ "k": { "l": "v" // note\n }, "m": "w" }', {"k": {"l": "v"}, "m": "w"}, "a comment"),
    ('{ "k": { "l": "v" /* note */ }, "m": "w" }', {"k": {"l": "v"}, "m": "w"}, "a comment"),
    ('[ "v", /* note */ "w" ]', ["v", "w"], "a comment"),
    ("# note\n" * 30 + '{"k": "v"}', {"k": "v"}, "comments"),
    # Numbers and words.
    ('{"k": .75}', {"k": 0.75}, "no digit before the point"),
    ('{"k": 7e10 }', {"k": 7e10}, "it is JSON"),
    ('{"k": True, "l": False, "m": None}', {"k": True, "l": False, "m": None}, "Python literals"),
    ('{"k": TRUE, "l": Null}', {"k": True, "l": None}, "JSON literals in capitals"),
    ('[{"k":"v","k":"v"}]', [{"k": "v"}], "the same field twice"),
]  # fmt: skip

_TWO: list[tuple[str, list[Any], str]] = [
    ('{"k": 3_500}', [3500, "3_500"], "a Python number, or a text such as an id"),
    ('{"k": 1/3}', [1 / 3, "1/3"], "a fraction, or a text such as a date"),
    ('{"k": 10-20}', ["10-20", -10], "a range or a difference"),
    ('{"k": 1.2.3}', ["1.2.3", 1.2], "a version, or a number with a typo"),
    ('{"k": 7.}', [7.0, 7], "7.0, or a number that lost its decimals"),
    ('{"k": 7e }', [7, "7e"], "a number whose exponent is lost, or a text"),
    ('{"k": 7cups }', ["7cups", 7], "a text, or a number with its unit"),
    ('{"k", 105,12,', ["105,12", [105, 12]], "one number, or a list of two"),
    ('{"k": , "l": "v"}', ["", None], "an empty string, or null"),
    ('{"k": 1,234}', [1234, [1, 234]], "one number with a thousands separator, or two numbers"),
    ('{"city": New York}', ["New York", "New"], "where the unquoted words end"),
    ('{"k": one, two, three.", "l": 3}', ["one, two, three.", "one"],
     "where the unquoted words end"),
    ('{"k": "v", NOTE "l": "w"}', ["NOTE is a slip", "NOTE is a key without a value"], "what the word means"),
    ('{"k": true, "l": "w" EXTRA }', ["EXTRA is a slip", "EXTRA is a key"], "what the word means"),
    ('{"k": "v" true}', ["v", True], "which of the two values counts"),
    ('["a" "b" "c" 3', [["a", "b", "c", 3], ['a" "b" "c', 3]],
     "three strings without commas, or one string with quotes in it"),
    ('{"k": ["a" "b"]}', [["a", "b"], ['a" "b']], "two strings, or one with quotes in it"),
    ('["one" two", "three"]', [["one", "two", "three"], ['one" two', "three"]],
     "a missing quote, or one too many"),
    ('{"k": ""tea"}', ["tea", '"tea'], "an empty string, or a string that begins with a quote"),
    ('{"k": "a, "l": "b"}', ["a", 'a, "l": "b'], "a first string without its end, or one with quotes in it"),
    ('{"k:"v"}', ["v", 'the key k:"v"'], "where the key ends"),
    ('{"k:v}', ["v", "a key that was cut"], "where the key ends"),
    ('{"k": "one two. }', ["one two.", "one two. }"], "whether the brace is in the string"),
    ('{"k": ["v], "l": 3}', [["v"], "v], "], "where the string ends"),
    ('{"k": "v"}, ["w"]', [{"k": "v"}, [{"k": "v"}, ["w"]]], "the first of two documents, or both"),
    ('{"k": ["v"], ["w"], "l": 3}', [["v", "w"], ["v"]], "what the second array belongs to"),
    ('{"k": "```json {"l": [3]}```"}', [{"l": [3]}, '```json {"l": [3]}```'],
     "an object, or a string that contains one"),
    ('[{"k": 3}, {"l": 4}] [{"m": 5}]', [[{"k": 3}, {"l": 4}], [{"m": 5}]], "which of two documents counts"),
    ('{ "k": { "l": "v" // note }, "m": "w" }', ["a comment to the end", "a comment up to the brace"],
     "how far the comment goes"),
    ('{ "k": { "l": "v" # note }, "m": "w" }', ["a comment to the end", "a comment up to the brace"],
     "how far the comment goes"),
    ('{"k": [{"l": "v"], "m": "w"}', [{"k": [{"l": "v"}], "m": "w"}, {"k": [{"l": "v", "m": "w"}]}],
     "which bracket is missing"),
    ("[]{}", [[], {}], "which of two documents counts"),
    ('[]{"k":"v"}', [{"k": "v"}, []], "which of two documents counts"),
    ('{"k":"v"}, {"k":"w"}', [{"k": "v"}, [{"k": "v"}, {"k": "w"}]], "the first of two documents, or both"),
    ('{"k"}', [{"k": None}, {}, ["k"]], "a key without a value, or a set"),
    ('{"k": """"}', ["", '"', '""'], "which quotes end the string"),
    ('{"k": "" "v"}', ["", "v", '" "v'], "which of two strings counts"),
    ("[{]", [[], [{}]], "an empty object in the list, or nothing"),
    ('{"k": "v"}, {}', [{"k": "v"}, [{"k": "v"}, {}]], "the first of two documents, or both"),
    ("words before {}", [{}, "a place in the words"], "a document, or a placeholder in the text"),
]  # fmt: skip

_NONE = [
    ("words only", "there is no document in it"),
    ("]", "there is no document in it"),
    ("\n", "there is no document in it"),
    ("", "there is no document in it"),
]


def cases() -> list[JSONCase]:
    """Return cases after the tests of json_repair."""
    return [
        *(JSONCase(text, "lenient", [value], why) for text, value, why in _ONE),
        *(JSONCase(text, "lenient", readings, why) for text, readings, why in _TWO),
        *(JSONCase(text, "lenient", [], why) for text, why in _NONE),
    ]
