# run: TIMEOUT more than
import signal

signals = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}


def test_case():
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    while True:
        signal.sigpending()
