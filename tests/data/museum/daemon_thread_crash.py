# run: CRASH SIGABRT
import os
import threading
import time


def test_case():
    threading.Thread(target=os.abort, daemon=True).start()
    time.sleep(30)
