"""Parts of documents, and documents, after what the tests of streaming parsers try.

The texts are made here. Who is right about one is told by json_rule, not by its author.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from tests.compare.conformance.json_case import JSONCase
from tokenstream.partial_json import Allow


def _parts(*texts: str) -> list[JSONCase]:
    return [JSONCase(text, "partial") for text in dict.fromkeys(texts)]


def _wholes(*texts: str) -> list[JSONCase]:
    return [JSONCase(text, "strict") for text in dict.fromkeys(texts)]


# -- jsonriver: what each prefix shows, odd characters, what JSON.parse refuses -----------

_GROWING = (
    "null ", "true ", '"tea"', "[]", '["x", "y"]',
    '{"hello": "yo", "to": "all"}',
    '{"list": ["p", {"q": ["r"]}]}',
    '[[], {}, [null, false, "one\\n][\\"{"]]',
    '{"n": [1, -20, 3.5e2, 0], "end": true}',
)  # fmt: skip
_CODES = [*range(0x100), 0x2027, 0x2028, 0x2029, 0xD7FF, 0xE000, 0xFEFF, 0xFFFD, 0xFFFF]
_HALVES = [0xD800, 0xDBFF, 0xDC00, 0xDFFF]
_DEEP = '{"a":' * 24 + '"x"' + "}" * 24
_NO_DOCUMENTS = (
    "[4, 5", '{"k": 7', "[3 4]", '{"k": 7 "l": 8}', "[3, 4,]", '{"k": 7,}', "[3,,4]", '{"k": 7,, "l": 8}',
    '{"k": }', '{"k" 7}', '["k": 7]', "{k: 7}", "'word'", '"two\nlines"', '"\\x41"', '"\\u41"', '"\\uqqqq"',
    "07", "0xF", "7.", ".7", "7e", "7e-", "--7", '{"k":7}{"l":8}', "[3,4]]", "[false, null] more", "", " ",
    "+7", "NaN", "-Infinity", "nul", "True", "[7", "]", "{]", '{"k"}', "7 8", "\ufeff7", "\xa07",
)  # fmt: skip


def jsonriver() -> list[JSONCase]:
    """Return cases after jsonriver's tests of `parse`."""
    prefixes = [prefix for text in _GROWING for prefix in accumulate(text)]
    raw = [f'"{chr(code)}"' for code in _CODES]
    escaped = [f'"\\u{code:04x}"' for code in [*_CODES, *_HALVES]]
    whole = [text.strip() for text in _GROWING]
    return _parts(*prefixes, _DEEP[:-20]) + _wholes(*whole, _DEEP, *raw, *escaped, *_NO_DOCUMENTS)


# -- the AI SDK's fixJson -----------------------------------------------------------------

_CUT = (
    "", "n", "nu", "tru", "f", "fal", "4.", "4.5", "-", "-4", "4e", "4e-", "4e2", "-4.5E", "-4.5E+1", "4.e",
    '"tea', '"a \\"word\\" and \\\\ more', '"cut \\', '"\\u', '"\\u00', '"ok \\u004', '{"k":"\\u0',
    '"sign <"',
    '"\\ud83d', '"\\ud83d\\', '"\\ud83d\\ude0', '"\\ud83d\\ude00',
    "[", "[[7], [8", '[["7"], ["8', "[[true], [fa", "[[[]], [[", "[[[]], [[]", "[[{}], [{", "[7, ",
    "[[], 456",
    "[7,", "[-", "[7e", "[7.",
    '{"word":', '{"word"', '{"wo', "{", '{"', '{"k": {"l": 7}, "m": {"n": 8',
    '{"k": {"l": "7"}, "m": {"n": 8.',
    '{"k": {"l": true}, "m": {"n": nu', '{"k": {"l": []}, "m": {"n": -', '{"k": {"l": {}}, "m": {"n": 8}',
    '{"k1": 7, "k2', '{"k1": 7, "k2"', '{"k1": 7, "k2":', '{"k1": 7, ', '{"k": "v"  ', '{"k": {"l": {}',
    "[7, [8, 9, [", "[true, [false, [", '{"k": {"inner":', '{"k": 45, "l": {"inner":',
    '{"k": null, "l": {"in',
    '{"k": [7, 8, {', '[7, 8, {"k": "v",', '{"k": {"l": ["m", {"n": "o",', '{"k": {"l": {"m": {"n":',
    '{"k": 7, "l": [', '{"k": 7, "l": {', '{"k": 7, "l": "',
    '{\n "k": [\n  {\n   "l": "v"\n  }\n ],\n "m": [\n  {\n   "n": "o',
    '{"kind":"box","inside":[{"kind":"lid","more":{}', "[7]", "[7] ", "[7] x", "[7,,", "[,", '{"k": 7,,',
    "{,",
    '{"k" 7', "[7 8", "nil", "tru]", "[7}", '{"k": 7]', "01", "[01", "-a", "[1.a", '"\\q', '"\\u00g',
    '["a" "b',
    "// note\n[7", "{'k': 7", "{k: 7", "[7, 8]]", "{} {}",
)  # fmt: skip


def ai_sdk() -> list[JSONCase]:
    """Return cases after the tests of the AI SDK's `fixJson`."""
    return _parts(*_CUT)


# -- jiter --------------------------------------------------------------------------------

_MIXED = '["tea", false, null, 3, "cup'
_FIELDS = '{"k": 3, "l": 4, "m": "cup", "name": "Jane E'
_NESTED = '{"k": 3, "l": [4, 5, {"m": 6, "n": "\\u00e9t\\u00e9'
_NUMBERS = (
    "4321", "0", "0 ", "-4321", "18446744073709551616", "-18446744073709551616", "4" * 60, "56.78", "-56.78",
    "4.4e10", "40e10", "4.4e+10", "4.4e-2", "0.000e321", "4e2147483648", "-4e2147483648", "0.0E999",
    "4e-2147483648", "0e321", "12345678901234567890.5", "-0", "-0.0", "1E400", "[1e400]",
)  # fmt: skip
_JITER_NO_DOCUMENTS = (
    "", '"teacup', "-", "nulX", "nul", "nuX", "trX", "falsX", '{"k": "v",}', "[3, 4,]", "[3, 4,;", "[8,",
    '{"k":56;',
    '{"k":56,;', '{"k": 8,', '{"":', '{"k": 3', '{"k"3', "{5: 5}", "[", "[3]]", "0E", "0.", "3E[", "3z",
    "-\n",
    "00", "002", "[3 x]", "[3\nx]", "07", "[\x16\x08", "yy", '"\\uyy', '"\\udcBd"', '"\\udBd8y"',
    '"\\ud8e0\\e"',
    '"\n', '"456\x08\x0c\r\t"', '"\\u34yy"', "NaN", "[Infinity]", "-Infinity", '"\x00"', '"\x7f"',
)  # fmt: skip
_STRINGS = (
    '  "cup"  ', '"tea\\ncup"', '"\\u00a3"', '"\\""', '"\\\\"', '"\\b\\f\\n\\r\\t\\/"',
    '{"\\ud83d\\udca9": "£"}',
    '["日本"]', '"\\ud83d"', '"\\ude00\\ud83d"', '{"k": 3, "k": 4}', '{"": {"": []}}',
)  # fmt: skip


def jiter() -> list[JSONCase]:
    """Return cases after jiter's tests, of Python and of Rust."""
    prefixes = [prefix for text in (_MIXED, _FIELDS, _NESTED) for prefix in accumulate(text)]
    deep = ["[" * 150 + "]" * 150, '{"k":' * 150 + "0" + "}" * 150]
    return _parts(*prefixes, *_JITER_NO_DOCUMENTS) + _wholes(
        *_NUMBERS, *_STRINGS, *_JITER_NO_DOCUMENTS, *deep, "[" + ", ".join(["[3]"] * 300) + "]"
    )


# -- partial-json-parser, with its flags --------------------------------------------------

_STR, _NUM, _ARR, _OBJ = Allow.STR, Allow.NUM, Allow.ARR, Allow.OBJ
_ALL = Allow.ALL
_NONE = "its flags let nothing of it show"


def _flagged(text: str, allow: int, *readings: Any, why: str) -> JSONCase:
    return JSONCase(text, "allow", readings=readings, why=why, allow=allow)


_FLAGGED = [
    ('"te', _STR, "te", "an open string shows as far as it has come"),
    ('["te', _ARR, [], "the array shows, its open string does not"),
    ('["te', _ARR | _STR, ["te"], "both show"),
    ('["a", ["b', _ARR | _STR, ["a", ["b"]], "both show"),
    ('{"k": "te', _OBJ, {}, "the object shows, its open string does not"),
    ('{"k": "te', _OBJ | _STR, {"k": "te"}, "both show"),
    ('{"k": [7, "te', _OBJ | _ARR, {"k": [7]}, "the containers show, the string does not"),
    ('{"k": 7, "l', _OBJ | _STR, {"k": 7}, "a key is no value"),
    ("t", Allow.BOOL, True, "from its first letter"),
    ("fa", Allow.BOOL, False, "from its first letter"),
    ("n", Allow.NULL, None, "from its first letter"),
    ("[nu", Allow.NULL | _ARR, [None], "from its first letter"),
    ("[nu", _ARR, [], "the literal does not show before its last letter"),
    ("-7.25e+", _NUM, -7.25, "its longest start that is a number"),
    ("-7.25e", _NUM, -7.25, "its longest start that is a number"),
    ("7.", _NUM, 7, "its longest start that is a number"),
    ("[7, 8", _NUM | _ARR, [7, 8], "the number shows"),
    ("[7, -", _NUM | _ARR, [7], "a sign alone is not a number"),
    ("[7, 8", _ARR, [7], "8 may still become 89"),
    ('{"k": 7', _OBJ, {}, "7 may still become 79"),
    ('{"k": 7 ', _OBJ, {"k": 7}, "the character after the number has arrived"),
    ('["a"', _ALL, ["a"], "all show"),
    ('{"k": "v"', _ALL, {"k": "v"}, "all show"),
    ('{"k": {"l": "v"', _OBJ, {"k": {"l": "v"}}, "what is finished shows"),
]


def partial_json_parser() -> list[JSONCase]:
    """Return cases after the tests of partial-json-parser, with its flags and without any."""
    flagged = [_flagged(text, allow, value, why=why) for text, allow, value, why in _FLAGGED]
    plain = _parts(
        '"', '["', '[""', '["",', '{"": "', '{""', '{"":', '{"":"', '{"":""', "n", "t", "f", "I", "-I", "N",
        "0",
        "-1.25e+4", "-1.25e+", "-1.25e", "[0", "[-1.25e+4", '{"k": tr', '{"k": "a\\', '{"k": "a\\u12',
        "[1, 2, [3",
        '{"k": {"l": [1, {"m"', "[NaN", "[Inf", "[1]]", "{]", "[1 2", '{"k": 1} ', '"a\nb',
    )  # fmt: skip
    return plain + flagged
