# run: TIMEOUT did not end
# alone: yes
import threading


def test_case():
    threading.Thread(target=threading.Event().wait).start()
