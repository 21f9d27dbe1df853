"""From evidence to what may be said."""
