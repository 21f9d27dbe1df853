# run: FLAKY more than once
attempts = []


def test_case():
    attempts.append(1)
    assert len(attempts) > 2
