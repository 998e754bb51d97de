"""Texts around and instead of JSON, after what the tests of BAML's parser try, with what they can mean.

The texts are made here, and read without a schema: what BAML gets by casting to the fields of a
class is not compared.
"""

from __future__ import annotations

from typing import Any

from tests.compare.conformance.json_case import JSONCase

_RECIPE = '{\n    "dish": "soup",\n    "times": [5, 10],\n    "chef": {\n      "name": "Ida"\n    }\n  }'
_SOUP = {"dish": "soup", "times": [5, 10], "chef": {"name": "Ida"}}

_ONE: list[tuple[str, Any, str]] = [
    # JSON.
    ("null", None, "it is JSON"),
    ("4711", 4711, "it is JSON"),
    ("47.11", 47.11, "it is JSON"),
    ("false", False, "it is JSON"),
    ('"soup"', "soup", "it is JSON"),
    ("[5, 10]", [5, 10], "it is JSON"),
    (' { "times" : [ 5 , 10 ] } ', {"times": [5, 10]}, "it is JSON"),
    ('{"dish": "[\\"soup\\"]"}', {"dish": '["soup"]'}, "a string that holds JSON stays a string"),
    ('{"dish": "{\\"name\\": [\\"soup\\"]}"}', {"dish": '{"name": ["soup"]}'},
     "a string that holds JSON stays a string"),
    ('{"dish": "Use it:\\n```json\\n{\\"a\\": 1}\\n```"}', {"dish": 'Use it:\n```json\n{"a": 1}\n```'},
     "a fence in a string is text"),
    ('{"名前": "スープ", "größe": "mittel"}', {"名前": "スープ", "größe": "mittel"}, "it is JSON"),
    # Text around it.
    ('The result is: {"times": [5, 10]}', {"times": [5, 10]}, "text before the document"),
    ('{"times": [5, 10]} is the result.', {"times": [5, 10]}, "text after the document"),
    ('Well then { "times" : [ 5 , 10 ] } and done', {"times": [5, 10]}, "text around the document"),
    (f"  see here\n  ```json\n  {_RECIPE}\n  ```\n  ", _SOUP, "a fence around the document"),
    (f"```\n{_RECIPE}\n```", _SOUP, "a fence around the document"),
    (f"I thought about it (for long).\n\n{_RECIPE}\n\nThat is all!", _SOUP, "text around the document"),
    ('To greet {guest} write:\n```\n[{"id": "A1", "text": "Hello {guest}"}]\n```',
     [{"id": "A1", "text": "Hello {guest}"}], "a fence after prose that has a word in braces"),
    ('<think>Is it {"dish": "tea"}? No.</think>{"dish": "soup"}', {"dish": "soup"},
     "reasoning before the document"),
    # Damage inside.
    ("[5, 10,]", [5, 10], "a comma before the closing bracket"),
    ('{"dish": "soup",}', {"dish": "soup"}, "a comma before the closing brace"),
    ('see\n```json\n{"times": [5, 10,], "chef": {"name": "Ida"},\n}\n```',
     {"times": [5, 10], "chef": {"name": "Ida"}},
     "commas before closing brackets"),
    ('{dish: "soup", times: [5, 10], chef: {name: "Ida"}}', _SOUP, "keys without quotes"),
    ("{dish: 'soup', // what\n times: [5, 10] /* in minutes */, chef: {name: 'Ida'},}", _SOUP, "comments"),
    ("[\n  {\n    // The first.\n    dish: 'soup',\n  },\n  {\n    // The second.\n    dish: 'tea',\n  }\n]",
     [{"dish": "soup"}, {"dish": "tea"}], "comments and keys without quotes"),
    ('{dish: "a soup\nwith new\n\nlines", chef: Ida}', {"dish": "a soup\nwith new\n\nlines", "chef": "Ida"},
     "line breaks in a string"),
    ('{"times": [5, "about "ten" minutes"]}', {"times": [5, 'about "ten" minutes']}, "quotes in a string"),
    ('{"dish": "Miso "the real" soup", "n": 1}', {"dish": 'Miso "the real" soup', "n": 1},
     "quotes in a string"),
    ('["it"s   here"]', ['it"s   here'], "a quote in a string"),
    # Ends that did not come.
    ("[5, 10, 15 ", [5, 10, 15], "the closing bracket is missing"),
    ('{"times": [5, 10 ', {"times": [5, 10]}, "the end is missing"),
    ('{"dish": "so', {"dish": "so"}, "the end is missing"),
    ('{"dish": "soup", "chef": {"name": "Ida", "from": "Os',
     {"dish": "soup", "chef": {"name": "Ida", "from": "Os"}},
     "the end is missing"),
    ('```json\n{"dish": "soup", "steps": ["cut", "boil', {"dish": "soup", "steps": ["cut", "boil"]},
     "the end is missing, and so is the end of the fence"),
    # Words.
    ("True", True, "a Python literal"),
    ("[True, None]", [True, None], "Python literals"),
    ('{"dish": soup}', {"dish": "soup"}, "one word without quotes"),
    ('{"code": `print("hi")`}', {"code": 'print("hi")'}, "a string in backticks"),
    # Code in a field.
    ('{"kind": "code", "code": \'say("hi")\'}', {"kind": "code", "code": 'say("hi")'}, "single quotes"),
    ('{"code": "say(\\"hi\nbye\\")"}', {"code": 'say("hi\nbye")'}, "a line break in a string"),
    ('{"kind": "code", "code": "say("Hi, you!")"}', {"kind": "code", "code": 'say("Hi, you!")'},
     "quotes in a string"),
    ("{'kind': 'code', 'code': 'say('Hi, you!')'}", {"kind": "code", "code": "say('Hi, you!')"},
     "quotes in a string"),
    ('{"code": `say("hi")\nsay("bye")`, "n": 1}', {"code": 'say("hi")\nsay("bye")', "n": 1},
     "a string in backticks"),
    ('{"code": `log(`hi`)`}', {"code": "log(`hi`)"}, "backticks in a string in backticks"),
    ('See:\n```json\n{\n "code": "```\nrun()\n```",\n "n": 1,\n}\n```', {"code": "```\nrun()\n```", "n": 1},
     "a fence in a string in a fence"),
    # Keys and lists.
    ('{"\\"a\\"": "\\"b\\""}', {'"a"': '"b"'}, "it is JSON"),
    ("{a: b} is the result.", {"a": "b"}, "words without quotes"),
    ("{one: {\"n\": 1}, 'two': {\"n\": 2}}", {"one": {"n": 1}, "two": {"n": 2}}, "keys in three ways"),
    ('\n{\n  "a": "b\n', {"a": "b\n"}, "the end is missing"),
    ('\n{\n  "a": {\n    "b": "c",\n    "d":\n', {"a": {"b": "c"}}, "a key that was cut has no value"),
    ('{"a\n ": "b"}', {"a\n ": "b"}, "a line break in a key"),
    ('{5: "b", 2.5: "e", null: "n"}', {"5": "b", "2.5": "e", "null": "n"}, "keys without quotes"),
    ('["\\"a\\"", "\\"b\\""]', ['"a"', '"b"'], "it is JSON"),
    ('["a", "b"] is the result.', ["a", "b"], "text after the document"),
    ("[a, b] is the result.", ["a", "b"], "words without quotes"),
    ('{"code": """print("hi")\nprint()"""}', {"code": 'print("hi")\nprint()'}, "a string in three quotes"),
]  # fmt: skip

_TWO: list[tuple[str, list[Any], str]] = [
    ('{"dish": "soup"} {"dish": "tea"}', [{"dish": "soup"}, {"dish": "tea"}],
     "one of the two documents, or both"),
    ('so {"dish": "soup"} or else {"dish": "tea"} then', [{"dish": "soup"}, {"dish": "tea"}],
     "one of the two documents, or both"),
    ('```json\n{"dish": "soup"}\n```\nand\n```json\n["x", "y"]\n```', [{"dish": "soup"}, ["x", "y"]],
     "the first or the second document"),
    ("{dish: soup with rice, n: 1}", ["soup with rice", "soup"],
     "where the unquoted words end"),
    ('{"ok": true, "note": **First, then more**\n\nAnd "so" on.\n}', ["all of it", "the first line"],
     "where the text without quotes ends"),
    ('{"a": {"x": null, "y": null{"a": {"x": 1}}}', ["the first start", "the second start"],
     "whether the document starts over inside itself"),
    ('{"price": 1,250}', [1250, [1, 250]], "one number with a thousands separator, or two numbers"),
    ('[{"sum": -100.00}, {"sum": -2,000.00}]', ["-2000", "-2 and 0"],
     "one number with a thousands separator, or two numbers"),
    ('{"code": ```\nlog(1)\n```, "n": 1}', ["log(1)", "\nlog(1)\n"],
     "whether the line breaks belong to the string"),
    ('{"code": """say("""hi""")"""}', ["say(", 'say("""hi""")'], "which quotes end the string"),
    ('{"price": $5}', ["$5", 5], "a text, or a number with its currency"),
    ('{"share": 50%}', ["50%", 0.5, 50], "a text, or a number"),
    ('{"part": 1/5}', [0.2, "1/5"], "a fraction or a text"),
    ("12,111.123", [12111.123, [12, 111.123]], "one number in some country's notation, or two numbers"),
    ("12.111,123", [12111.123, [12.111, 123]], "one number in some country's notation, or two numbers"),
    ('{"dish": undefined}', [None, {}], "null, or a missing field"),
    ('{"dish": "a" + "b"}', ["ab", "the expression"], "a sum, or its text"),
    ('{"day": 2026-11-20}', ["2026-11-20", 1995], "a date, or a difference"),
]  # fmt: skip

_NONE = [
    ("There is nothing to say.", "there is no document in it"),
    ('well "soup', "there is no document in it"),
]


def cases() -> list[JSONCase]:
    return [
        *(JSONCase(text, "lenient", [value], why) for text, value, why in _ONE),
        *(JSONCase(text, "lenient", readings, why) for text, readings, why in _TWO),
        *(JSONCase(text, "lenient", [], why) for text, why in _NONE),
    ]
