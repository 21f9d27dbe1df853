# challenge: SURVIVED
import pytest
import subject


def test_case():
    with pytest.raises(Exception):
        assert subject.double(2) == 4
        subject.double(None)
