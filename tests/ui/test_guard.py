"""Who is let in, and what a browser is told."""

import pytest
from flask.testing import FlaskClient

from meterlake.settings import Settings
from meterlake.ui.app import create_app
from meterlake.ui.guard import HEADERS, Guard

HOST = {"Host": "127.0.0.1:8090"}


@pytest.fixture
def guard() -> Guard:
    return Guard(8090)


@pytest.fixture
def stranger(settings: Settings, guard: Guard) -> FlaskClient:
    """A browser that has not been let in, at a home where nothing is."""
    return create_app(settings, guard).test_client()


def token(guard: Guard) -> str:
    return guard.address.partition("?")[2]


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("/", id="no_token"),
        pytest.param("/?token=", id="empty_token"),
        pytest.param("/?token=guessed", id="wrong_token"),
        pytest.param("/?token=%C3%A9%00", id="no_ascii"),
        pytest.param("/plotly.js", id="asset"),
        pytest.param("/nowhere", id="no_page"),
    ],
)
def test_a_stranger_sees_nothing(stranger: FlaskClient, address: str) -> None:
    answer = stranger.get(address, headers=HOST)
    assert answer.status_code == 403
    assert "has not been let in" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_a_forged_cookie_is_refused(stranger: FlaskClient, guard: Guard) -> None:
    assert stranger.get("/", headers=HOST | {"Cookie": f"{guard.cookie}=guessed"}).status_code == 403


def test_the_token_opens_once_and_its_cookie_stays_in_the_browser(stranger: FlaskClient, guard: Guard) -> None:
    first = stranger.get(f"/meter?source=ami&meter=%22%3E%3Cb&{token(guard)}", headers=HOST)
    assert first.status_code == 200
    assert 'url=/meter?source=ami&amp;meter=%22%3E%3Cb"' in first.text
    assert token(guard) == "token=None"
    cookie = first.headers["Set-Cookie"]
    assert all(word in cookie for word in (f"{guard.cookie}=", "HttpOnly", "SameSite=Strict"))
    stranger.delete_cookie(guard.cookie, domain="127.0.0.1")


def test_a_spent_token_is_refused(stranger: FlaskClient, guard: Guard) -> None:
    address = f"/?{token(guard)}"
    assert stranger.get(address, headers=HOST).status_code == 200
    fresh = stranger.application.test_client()
    assert fresh.get(address, headers=HOST).status_code == 403


@pytest.mark.parametrize("host", ["evil.example:8090", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.evil.example:8090"])
def test_another_host_name_is_refused_even_with_the_token(stranger: FlaskClient, guard: Guard, host: str) -> None:
    address = f"/?{token(guard)}"
    assert stranger.get(address, headers={"Host": host}).status_code == 421
    assert stranger.get(address, headers=HOST).status_code == 200, "the token must not be spent by it"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_pages_are_read_only(browser: FlaskClient, method: str) -> None:
    assert browser.open("/meters", method=method).status_code == 405


def test_every_answer_tells_the_browser_to_keep_it_to_itself(browser: FlaskClient) -> None:
    for address in ("/", "/style.css", "/plotly.js", "/nowhere", "/meters?page=x"):
        headers = browser.get(address).headers
        assert HEADERS.items() <= dict(headers).items(), address
        assert ("no-store" in headers["Cache-Control"]) is not address.endswith(("css", "js")), address
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
