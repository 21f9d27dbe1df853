"""One problem per file; the file is named after the rule."""
