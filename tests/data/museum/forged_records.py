# run: ERROR cannot be trusted
import os
import time


def test_case():
    for descriptor in range(3, 1024):
        try:
            os.write(descriptor, b'{"kind":"finish","nonce":"0","exitstatus":0,"versions":{}}\n')
        except OSError:
            pass
    time.sleep(30)
