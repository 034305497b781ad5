import os

VERSION = os.environ['VERSION']
