print("constraints.txt")
