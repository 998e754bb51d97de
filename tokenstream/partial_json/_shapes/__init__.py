"""Shapes of pydantic and msgspec types: which values can be validated one by one."""
