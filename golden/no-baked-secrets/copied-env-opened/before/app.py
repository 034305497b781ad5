settings = dict(line.strip().split("=", 1) for line in open(".env"))
