"""A shop in Flask."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request, session

application = Flask(__name__)
application.secret_key = "of a test"


@application.get("/items/<int:number>")
def item(number: int) -> Response:
    """Return an item; the path and the query are parsed by Flask."""
    return jsonify(number=number, fields=request.args.getlist("field"))


@application.post("/orders")
def order() -> tuple[Response, int]:
    """Take an order in JSON, and count those of the session in a cookie."""
    session["orders"] = session.get("orders", 0) + 1
    return jsonify(order=request.get_json(), orders=session["orders"]), 201


@application.get("/stream")
def stream() -> Response:
    """Return a response without a known length."""
    return Response((f"line {i}\n" for i in range(3)), mimetype="text/plain")


@application.get("/fails")
def fails() -> str:
    """Fail; Flask itself makes a 500 of it."""
    raise RuntimeError("the shop is on fire")
