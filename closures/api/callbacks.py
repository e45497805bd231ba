"""Partners' callbacks: verify, store, answer. Nothing is applied inside the request."""

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from closures.services import callbacks
from closures.services.callbacks import CallbackRefused

LARGEST = 64 * 1024


@csrf_exempt
@require_POST
def receive(request: HttpRequest, partner: str) -> JsonResponse:
    """200 once stored, also the second time; 401 for what is not verified; 413 for what is too large."""
    length = request.headers.get("Content-Length") or "0"
    if not length.isdecimal() or int(length) > LARGEST:
        return JsonResponse({"error": "too_large"}, status=413)
    try:
        callbacks.receive(partner=partner, raw=request.body, headers=request.headers, now=timezone.now())
    except CallbackRefused as refused:
        return JsonResponse({"error": refused.code}, status=401)
    return JsonResponse({"stored": True})
