from django.urls import include, path

from . import views

urlpatterns = [
    path("api/", include([path("ping/", views.health)])),
    path("health/", views.health),
]
