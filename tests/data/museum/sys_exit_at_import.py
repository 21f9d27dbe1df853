# run: ERROR sys_exit_at_import.py
import sys

sys.exit(0)


def test_case():
    assert False
