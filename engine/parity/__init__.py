"""Two sides of one model on the same tokens: what they are, what was saved of them, how far apart they are."""
