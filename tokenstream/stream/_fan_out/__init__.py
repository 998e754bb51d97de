"""Broadcasts, which share one stream among several consumers, and merges of several streams."""
