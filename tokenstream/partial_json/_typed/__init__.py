"""Typed objects that fill in while their JSON arrives."""
