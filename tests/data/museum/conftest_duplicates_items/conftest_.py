def pytest_collection_modifyitems(items):
    items.extend(list(items))
