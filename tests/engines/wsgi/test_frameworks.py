"""Flask and Django applications work under every model as under the servers that they are written for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.engines.conftest import has_own_io, is_model, variants
from tests.engines.driver import PATIENCE_S, Engine, Variant

FOLDER = str(Path(__file__).with_name("frameworks"))
CLIENTS, ORDERS = 4, 5


@pytest.fixture(params=["flask_shop", "django_shop"], scope="module")
def shop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=variants(is_model, default=has_own_io), scope="module")
def engine(request: pytest.FixtureRequest, shop: str) -> Iterator[Engine]:
    variant: Variant = request.param
    engine = Engine(variant, arguments=("--app", f"{shop}:application", "--app-dir", FOLDER))
    try:
        yield engine
        assert engine.stop(deadline_s=PATIENCE_S).code == 0
    finally:
        engine.close()


@pytest.fixture
def client(engine: Engine) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{engine.port}", timeout=PATIENCE_S) as client:
        yield client


def test_paths_queries_and_streams(client: httpx.Client) -> None:
    assert client.get("/items/7?field=a&field=%C3%A9").json() == {"number": 7, "fields": ["a", "é"]}
    assert client.head("/items/7").headers["content-length"] == str(len(client.get("/items/7").content))
    assert client.get("/stream").text == "line 0\nline 1\nline 2\n"
    assert client.get("/nowhere").status_code == 404


def test_bodies_and_sessions_of_clients_at_the_same_time(engine: Engine) -> None:
    def orders(number: int) -> list[tuple[int, object]]:
        with httpx.Client(base_url=f"http://127.0.0.1:{engine.port}", timeout=PATIENCE_S) as client:
            made = [client.post("/orders", json={"by": number, "text": "ä" * 1000}) for _ in range(ORDERS)]
            assert {each.json()["order"]["by"] for each in made} == {number}
            return [(each.status_code, each.json()["orders"]) for each in made]

    with ThreadPoolExecutor(CLIENTS) as pool:
        for each in pool.map(orders, range(CLIENTS)):
            assert each == [(201, count) for count in range(1, ORDERS + 1)], "the session is in the cookie"


def test_an_exception_of_a_view_is_a_500_of_the_framework(client: httpx.Client) -> None:
    assert client.get("/fails").status_code == 500
    assert client.get("/items/1").status_code == 200
