"""Independent definitions, data and comparisons that falsifiers share."""
