# run: TIMEOUT hang_in_collection.py
# alone: yes
import time


def pytest_generate_tests(metafunc):
    time.sleep(600)


def test_case():
    assert False
