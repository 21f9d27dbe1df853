# run: TIMEOUT import of hang_at_import.py
import time

time.sleep(600)


def test_case():
    assert False
