"""Scripts: answers that a test describes step by step, independent of any format."""
