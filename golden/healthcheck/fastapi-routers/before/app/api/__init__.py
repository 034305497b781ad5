from fastapi import APIRouter

from . import items, status

router = APIRouter(prefix="/v1")
router.include_router(items.router, prefix="/items")
router.include_router(status.router)
