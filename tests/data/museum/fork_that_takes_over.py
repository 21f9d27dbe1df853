# run: ERROR status 0
import os


def test_case():
    if os.fork():
        os._exit(0)
