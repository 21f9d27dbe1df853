# challenge: NOT_APPLIED
import os
import time

import subject


def test_case():
    if os.fork() == 0:
        time.sleep(600)
        assert subject.double(2) == 4
