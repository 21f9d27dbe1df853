# run: TIMEOUT more than
import time


def test_case():
    time.sleep(600)
