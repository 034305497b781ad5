import os

print(len(os.environ["SECRET_KEY"]))
