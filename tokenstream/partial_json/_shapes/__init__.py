"""Shapes of pydantic types, which define which values can be validated one by one."""
