"""Binding falsifiers to tests, by pytest's own collection."""
