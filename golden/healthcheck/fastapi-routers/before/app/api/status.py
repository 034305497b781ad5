from fastapi import APIRouter, Depends
from app.database import session

router = APIRouter()


@router.get("/healthz")
async def healthz(db=Depends(session)) -> str:
    return "ok"
