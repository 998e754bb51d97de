"""Regular expressions matched against text that is still arriving."""
