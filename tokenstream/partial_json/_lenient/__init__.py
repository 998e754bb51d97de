"""Lenient JSON: what models write in place of JSON, and what stands around it.

| module | reads |
|---|---|
| `start` | up to the document, and another one behind it |
| `edges` | a document without brackets, and what follows one directly |
| `body` | a document from its first bracket to its last |
| `gaps` | white space, comments, commas and colons between its values |
| `tokens`, `atoms` | its values without quotes |
| `strings`, `quotes`, `peek` | its strings, and what a quote means |
| `backslashes` | which escapes in a string are none |
| `prose` | the text around it |
| `choosing` | one document of several |

`reader` has the state, and the loop that takes one step after the other.
"""

# Each module enters its steps into the tables when it is imported.
from tokenstream.partial_json._lenient import start
from tokenstream.partial_json._lenient.reader import LenientReader

__all__ = ["LenientReader", "start"]
