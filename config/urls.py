"""Addresses: the console, the language switch, the status page, the API, the partners' callbacks."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from closures.api import callbacks, status, status_complaints, status_pages
from closures.api.v1 import api

urlpatterns = [
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    path("s/<str:token>/", status.show, name="status"),
    path("s/<str:token>/code/<str:what>/", status.code, name="status_code"),
    path("s/<str:token>/withdraw/", status.withdraw, name="status_withdraw"),
    path("s/<str:token>/certificate/", status.certified, name="status_certificate"),
    path("s/<str:token>/complain/", status_complaints.complain, name="status_complain"),
    path("s/<str:token>/complain/<str:number>/", status_complaints.complaint, name="status_complaint"),
    path("s/<path:rest>", status_pages.lost),
    path("api/v1/", api.urls),
    path("callbacks/<slug:partner>", callbacks.receive, name="callbacks"),
    path("", RedirectView.as_view(pattern_name="admin:index", permanent=False)),
]

handler400 = "closures.api.status_pages.bad_request"
