import os

from .base import *

DEBUG = bool(int(os.getenv("DEBUG", default="1")))
