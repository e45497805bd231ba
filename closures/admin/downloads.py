"""Handing out a file: signed in just now, never kept by a browser or a proxy, never shown in the page."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from accounts.admin.dialogs import sign_in_is_fresh

PDF, ZIP, CSV = "application/pdf", "application/zip", "text/csv; charset=utf-8"


def handed_out(request: HttpRequest, content: bytes, *, name: str, kind: str) -> HttpResponse:
    """The file as a download, or the sign-in page where the sign-in is too old (PITFALLS: step-up)."""
    if not sign_in_is_fresh(request, now=timezone.now()):
        return redirect(
            f"{reverse('admin:login')}?{urlencode({'again': 1, 'next': request.get_full_path()})}"
        )
    response = HttpResponse(content, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response
