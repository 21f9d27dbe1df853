# run: CRASH SIGKILL
import os
import signal


def test_case():
    os.kill(os.getpid(), signal.SIGKILL)
