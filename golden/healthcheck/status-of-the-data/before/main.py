from fastapi import Depends, FastAPI

app = FastAPI()


def session():
    return {"open": 2}


@app.get("/status")
def status(data=Depends(session)):
    return data
