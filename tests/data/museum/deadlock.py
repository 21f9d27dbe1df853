# run: TIMEOUT more than
import threading


def test_case():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
