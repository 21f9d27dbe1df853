# run: ERROR thread
import threading
import time

import subject


def check():
    time.sleep(0.1)
    assert subject.double(2) == 5


def test_case():
    threading.Thread(target=check).start()
