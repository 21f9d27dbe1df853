# run: ERROR ModuleNotFoundError
import a_module_that_nobody_has


def test_case():
    assert a_module_that_nobody_has
