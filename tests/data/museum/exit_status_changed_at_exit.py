# run: ERROR status 3
# alone: yes
import atexit
import os


def test_case():
    atexit.register(os._exit, 3)
