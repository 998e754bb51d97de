"""Objects that can be read, turned into one kind of source.

The caller opens an object, such as a response, and the stream that reads the object closes it.
"""
