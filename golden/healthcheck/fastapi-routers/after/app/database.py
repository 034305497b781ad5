def session():
    yield None
