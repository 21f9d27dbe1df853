"""What changed between two versions of a contract, and which part of its version that must change."""

from pv.diff.compare import compare
from pv.diff.kinds import Change, Class, Part
from pv.diff.version import Demand, demand

__all__ = ["Change", "Class", "Demand", "Part", "compare", "demand"]
