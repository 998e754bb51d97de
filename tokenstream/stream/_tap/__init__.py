"""The function `tap`, which watches the stream of another library and builds its message."""
