import os

print(len(os.environ["API_TOKEN"]))
