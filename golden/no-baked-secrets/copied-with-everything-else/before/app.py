import os

from dotenv import load_dotenv

load_dotenv()
print(len(os.environ["API_TOKEN"]))
