print("flask==3.1.0")
