"""Lenient reading of JSON: the near-JSON that models write, and the text around it.

| module | reads |
|---|---|
| `start` | the text up to the document, and another document after it |
| `edges` | a document without brackets, and the text directly after a document |
| `body` | a document from its first bracket to its last |
| `gaps` | the text between values, such as white space and comments, and values without quotes |
| `strings`, `quotes` | strings, and the meaning of a quote |
| `peek` | the text ahead, and bare words |
| `escapes` | escapes in strings, and backslashes that do not begin one |
| `prose` | the text around the document |
| `choosing` | one document of several |

`reader` runs one step after another, and has the state outside of the document; inside of it,
`automaton` has the stack of open brackets and the place in the grammar, and reads commas and colons.
"""

# Importing a module adds its steps to the tables.
from tokenstream.partial_json._lenient import start
from tokenstream.partial_json._lenient.reader import LenientReader

__all__ = ["LenientReader", "start"]
