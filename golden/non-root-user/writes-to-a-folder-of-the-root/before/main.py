import os

os.makedirs('/output', exist_ok=True)
