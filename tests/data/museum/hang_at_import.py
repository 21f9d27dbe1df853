# run: TIMEOUT import of hang_at_import.py
# alone: yes
import time

time.sleep(600)


def test_case():
    assert False
