"""Immutable records of runs, the ledger that orders them, and the fingerprints that age them."""
