"""Lenient JSON: the near-JSON that models write, and the text around it.

| module | reads |
|---|---|
| `start` | up to the document, and another document after it |
| `edges` | a document without brackets, and the text directly after a document |
| `body` | a document from its first bracket to its last |
| `gaps` | white space, comments, commas and colons between its values |
| `tokens`, `atoms` | its values without quotes |
| `strings`, `quotes`, `peek` | its strings, and the meaning of a quote |
| `backslashes` | backslashes in a string that do not begin an escape |
| `prose` | the text around it |
| `choosing` | one document of several |

`reader` holds the state and the loop that runs one step after another.
"""

# Importing a module enters its steps into the tables.
from tokenstream.partial_json._lenient import start
from tokenstream.partial_json._lenient.reader import LenientReader

__all__ = ["LenientReader", "start"]
