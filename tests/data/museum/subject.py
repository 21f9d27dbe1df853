"""The code under test of every exhibit."""


def double(x):
    return 2 * x
