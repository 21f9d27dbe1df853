"""Attempts to refute the contracts, one folder per folder of contracts/."""
