"""Shapes of pydantic and msgspec types, which define which values can be validated one by one."""
