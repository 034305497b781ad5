"""The pages of the notice board."""

from django.http import JsonResponse
from django.urls import path

from notices.models import Notice


def index(request):
    Notice.objects.get_or_create(text="The board is open")
    return JsonResponse({"notices": [notice.text for notice in Notice.objects.all()]})


urlpatterns = [path("", index)]
