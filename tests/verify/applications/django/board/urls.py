"""The pages of the notice board."""

from django.http import HttpResponse, JsonResponse
from django.urls import path


def index(request):
    return HttpResponse("<h1>Notices</h1>")


def count(request):
    return JsonResponse({"count": 0})


urlpatterns = [path("", index), path("count/", count)]
