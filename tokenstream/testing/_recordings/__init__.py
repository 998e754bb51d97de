"""Recordings: their files, their replay, and places in them."""
