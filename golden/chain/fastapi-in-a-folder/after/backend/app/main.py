import os

from fastapi import FastAPI
from redis import Redis

app = FastAPI()
redis = Redis.from_url(os.environ.get("REDIS_URL", "redis://cache:6379/0"))


@app.get("/")
def index():
    return {"visits": redis.incr("visits")}


@app.get("/healthz")
def healthz():
    return {"status": "ok"}
