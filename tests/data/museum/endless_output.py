# run: ERROR status 0
import os


def test_case():
    block = b"x" * (1 << 20)
    for _ in range(1 << 10):
        os.write(1, block)
    os._exit(0)
