# run: CRASH SIGABRT
# alone: yes
import atexit
import os


def test_case():
    atexit.register(os.abort)
