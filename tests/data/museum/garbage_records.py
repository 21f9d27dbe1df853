# run: ERROR cannot be trusted
import os
import time


def test_case():
    for descriptor in range(3, 1024):
        try:
            os.write(descriptor, b"[" * 5000 + b"\n")
        except OSError:
            pass
    time.sleep(30)
