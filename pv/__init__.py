"""Contracts about quantised models, checked by running code."""

__version__ = "0.1.0"
