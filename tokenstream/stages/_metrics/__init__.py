"""The speed of an answer: a meter records it, metrics report it, and histograms count its gaps."""
