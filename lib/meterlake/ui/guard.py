"""Who may see the pages: whoever opened the address that was printed, in that browser, on this machine."""

import hmac
import secrets
from threading import Lock
from typing import Any

from flask import Response, request, url_for
from markupsafe import Markup

from meterlake.ui import asked

HOST = "127.0.0.1"
# Scripts and styles from this server only, none inline; nothing is loaded from or sent to elsewhere, no page frames us.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
REFUSED = (
    "This browser has not been let in. Open the address that `meterlake ui` printed; it works once. "
    "For another browser, start `meterlake ui` again."
)
# A redirect would be part of the visit that came from elsewhere, and a strict cookie is not sent on such a one.
GO_ON = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={}"><title>meterlake</title>'


class Guard:
    """A token that is good for one visit, and the cookie that the visitor gets for it.

    Cookies are not kept apart by port, so the cookie's name holds it: two homes may be looked at side by side.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = f"meterlake_{port}"
        self._token: str | None = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._lock = Lock()
        self._hosts = {f"{host}:{port}" for host in (HOST, "localhost")}

    @property
    def address(self) -> str:
        """The address to print: it opens the door once."""
        return f"http://{HOST}:{self.port}/?token={self._token}"

    def check(self) -> Response | None:
        """Before each request: None lets it in, a response answers it.

        The Host header is compared, so that a foreign name that was made to point here (DNS rebinding) gets nothing.
        """
        if request.host not in self._hosts:
            return _plain(f"This server answers to {HOST}:{self.port} only.", 421)
        if hmac.compare_digest(request.cookies.get(self.cookie, "").encode(), self._session.encode()):
            return None
        if self._spend(request.args.get("token", "")):
            letting_in = Response(Markup(GO_ON).format(_without_token()), mimetype="text/html")
            letting_in.set_cookie(self.cookie, self._session, httponly=True, samesite="Strict")
            return letting_in
        return _plain(REFUSED, 403)

    def dress(self, response: Response) -> Response:
        """After each request: the headers by which a browser keeps the pages to themselves."""
        for name, value in HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def _spend(self, given: str) -> bool:
        """Whether it is the token; it is none from then on."""
        with self._lock:
            right = self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())
            if right:
                self._token = None
            return right


def _without_token() -> str:
    """The page that is asked for, as one of ours."""
    given: dict[str, Any] = asked.known(request.args)
    return url_for(request.endpoint or "overview", **given)


def _plain(words: str, status: int) -> Response:
    return Response(f"{words}\n", status, mimetype="text/plain")
