# run: ERROR thread
import threading

import subject


def check():
    assert subject.double(2) == 5


def test_case():
    thread = threading.Thread(target=check)
    thread.start()
    thread.join()
