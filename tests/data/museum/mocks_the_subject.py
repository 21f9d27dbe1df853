# challenge: NOT_APPLIED
from unittest import mock

import subject


def test_case():
    with mock.patch.object(subject, "double", return_value=4):
        assert subject.double(2) == 4
