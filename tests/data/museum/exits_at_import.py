# run: ERROR exits_at_import.py
import os

os._exit(0)


def test_case():
    assert False
