# challenge: NOT_APPLIED
import multiprocessing
import os

import subject


def check():
    os.close(2)
    assert subject.double(2) == 4


def test_case():
    child = multiprocessing.get_context("fork").Process(target=check)
    child.start()
    child.join()
