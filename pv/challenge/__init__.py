"""Challenging falsifiers with seeded faults."""
