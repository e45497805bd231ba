"""Addresses: the console, the language switch, the API, the partners' callbacks."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from closures.api import callbacks
from closures.api.v1 import api

urlpatterns = [
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
    path("callbacks/<slug:partner>", callbacks.receive, name="callbacks"),
    path("", RedirectView.as_view(pattern_name="admin:index", permanent=False)),
]
