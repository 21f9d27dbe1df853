# run: ERROR status
import os


def test_case():
    os.closerange(3, 256)
