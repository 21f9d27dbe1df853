# run: ERROR async
import subject


async def test_case():
    assert subject.double(2) == 5
