# run: CRASH SIGABRT
import os


def test_case():
    os.abort()
