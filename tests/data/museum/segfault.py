# run: CRASH SIGSEGV
import ctypes


def test_case():
    ctypes.string_at(0)
