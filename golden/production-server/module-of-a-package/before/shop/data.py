ITEMS = ["a"]
