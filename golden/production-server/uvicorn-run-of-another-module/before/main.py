import uvicorn

from shop.api import app

if __name__ == "__main__":
    uvicorn.run("shop.api:app", host="0.0.0.0")
