"""The names of the formats, for type checkers and editors; they stand beside the records of the APIs."""

from tokenstream._apis import FormatName

__all__ = ["FormatName"]
