"""Shapes of pydantic and msgspec types, which tell which values can be validated one by one."""
