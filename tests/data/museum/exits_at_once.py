# run: ERROR status 0
import os


def test_case():
    os._exit(0)
