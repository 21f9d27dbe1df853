"""Frozen data types shared by every part of pv; no behaviour beyond validation."""
