"""A list of books."""

from fastapi import FastAPI

app = FastAPI(title="Books")


@app.get("/")
async def index():
    return {"service": "books"}


@app.get("/books")
async def books(limit: int = 10):
    return [{"title": title} for title in ("Emma", "Persuasion")][:limit]
