"""Rules over contracts, their bindings and their evidence."""
