# run: ERROR SystemExit
import sys


def test_case():
    sys.exit(0)
