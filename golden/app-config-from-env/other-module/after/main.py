from fastapi import FastAPI

from auth import ALGORITHM

app = FastAPI()
