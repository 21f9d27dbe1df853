# run: CRASH SIGABRT
import os

os.abort()


def test_case():
    assert False
