"""The web application: templates, assets and errors around the pages, all of it behind the guard."""

import logging
from functools import partial
from typing import Any

from flask import Flask, Response, render_template, request, url_for
from jinja2 import ChoiceLoader, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from meterlake.errors import MeterlakeError, NothingYet, Unreachable, UsageError
from meterlake.report.look import COLOURS, FONT, figures, file_name, instant, number, percent, words
from meterlake.settings import Settings
from meterlake.tables.reader import Lake
from meterlake.ui import asked, charts, pages
from meterlake.ui.guard import Guard

log = logging.getLogger("meterlake")

# The scripts and the style change with the version only.
KEPT = {"Cache-Control": "private, max-age=3600"}
STATUS: dict[type[MeterlakeError], int] = {UsageError: 400, NothingYet: 404, Unreachable: 503}
FILTERS = (figures, file_name, instant, number, percent, words)


def create_app(settings: Settings, guard: Guard) -> Flask:
    """The pages of a home."""
    app = Flask("meterlake.ui", static_folder=None)
    app.jinja_loader = ChoiceLoader([PackageLoader("meterlake.ui"), PackageLoader("meterlake.report", "")])
    app.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    app.jinja_env.filters.update({does.__name__: does for does in FILTERS})
    app.jinja_env.globals.update(pages=pages.PAGES, home=settings.home.name, here=_here)
    app.before_request(guard.check)
    app.after_request(guard.dress)
    for address, name, page in pages.ADDRESSES:
        app.add_url_rule(address, name, partial(page, pages.Home(settings, Lake.of(settings))))
    for address, made in (("/style.css", _style), ("/charts.js", _drawing), ("/plotly.js", _plotly)):
        app.add_url_rule(address, address.strip("/"), made)
    app.register_error_handler(MeterlakeError, _said)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _unexpected)
    return app


def _here(**changes: Any) -> str:
    """The address of this page with other arguments; None takes one away."""
    arguments: dict[str, Any] = asked.known(request.args) | changes
    return url_for(request.endpoint or "overview", **arguments)


def _style() -> Response:
    made = render_template("style.css.j2", colours=COLOURS | charts.QUALITIES, font=FONT)
    return Response(made, mimetype="text/css", headers=KEPT)


def _drawing() -> Response:
    """The report's own script: it draws every chart from the JSON beside it."""
    return Response(render_template("page.js"), mimetype="text/javascript", headers=KEPT)


def _plotly() -> Response:
    return Response(get_plotlyjs(), mimetype="text/javascript", headers=KEPT)


def _said(error: MeterlakeError) -> tuple[str, int]:
    return render_template("message.html", sentence=str(error)), STATUS.get(type(error), 500)


def _of_http(error: HTTPException) -> AnyResponse | tuple[str, int]:
    if error.code != 404:
        return error.get_response()
    return render_template("message.html", sentence="There is no such page; choose one above."), 404


def _unexpected(error: Exception) -> tuple[str, int]:
    log.error("meterlake: %s: %s", type(error).__name__, str(error).partition("\n")[0][:300])
    log.debug("%s", request.path, exc_info=error)
    sentence = f"This page failed ({type(error).__name__}); the terminal says more, with --debug the whole story."
    return render_template("message.html", sentence=sentence), 500
