# run: CRASH|ERROR test_case|Recursion
import sys


def nested():
    value = []
    for _ in range(300_000):
        value = [value]
    return value


def test_case():
    sys.setrecursionlimit(10**9)
    nested() == nested()
