from fastapi import APIRouter

router = APIRouter()


@router.get("/health/{item}")
def item_health(item: int) -> int:
    return item
