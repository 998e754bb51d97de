"""The names of the formats, for type checkers and editors; defined beside the records of the APIs."""

from tokenstream._apis import FormatName

__all__ = ["FormatName"]
