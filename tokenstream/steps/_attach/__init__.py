"""Events of hosted sessions and tasks, which go on when their connection breaks."""
