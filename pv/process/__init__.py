"""Supervised child processes that run pytest: arguments, environment, time limit, records."""
