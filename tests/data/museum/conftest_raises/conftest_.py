raise RuntimeError("a broken conftest")
