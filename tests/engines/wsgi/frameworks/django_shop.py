"""A shop in Django, in one module."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="of a test",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
)


def item(request: HttpRequest, number: int) -> JsonResponse:
    """Return an item; the path and the query are parsed by Django."""
    return JsonResponse({"number": number, "fields": request.GET.getlist("field")})


def order(request: HttpRequest) -> JsonResponse:
    """Take an order in JSON, and count those of the session in a cookie."""
    session: Any = request.session
    session["orders"] = session.get("orders", 0) + 1
    return JsonResponse({"order": json.loads(request.body), "orders": session["orders"]}, status=201)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Return a response without a known length."""
    return StreamingHttpResponse((f"line {i}\n" for i in range(3)), content_type="text/plain")


def fails(request: HttpRequest) -> JsonResponse:
    """Fail; Django itself makes a 500 of it."""
    raise RuntimeError("the shop is on fire")


urlpatterns = [
    path("items/<int:number>", item),
    path("orders", order),
    path("stream", stream),
    path("fails", fails),
]
application = get_wsgi_application()
