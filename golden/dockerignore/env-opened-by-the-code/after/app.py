settings = open('.env').read()
