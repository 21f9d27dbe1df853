# run: ERROR status
# alone: yes
import os


def test_case():
    os.close(1)
    os.close(2)
