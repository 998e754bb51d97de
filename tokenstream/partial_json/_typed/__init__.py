"""Typed objects that are filled in field by field as their JSON arrives."""
