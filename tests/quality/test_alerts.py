import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pyspark.sql import Row

from meterlake.quality import alerts
from meterlake.settings import Settings
from meterlake.sources.ami import AMI
from meterlake.tables.ops import LEDGER, QUALITY_RESULTS


class Chat:
    """A web server that takes messages like Slack's webhooks, on a port of its own."""

    def __init__(self) -> None:
        self.status, self.messages = 200, []
        self.silent_until = threading.Event()
        self.silent_until.set()
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                chat.silent_until.wait(10)
                chat.messages.append((self.headers["Content-Type"], json.loads(body)))
                self.send_response(chat.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/services/secret-token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def chat() -> Iterator[Chat]:
    chat = Chat()
    yield chat
    chat.silent_until.set()
    chat.server.shutdown()
    chat.server.server_close()


def entry(**counts: int) -> Row:
    """A balanced ledger entry of 1,000 lines; a test names what is wrong with them."""
    values = dict.fromkeys(LEDGER.names, 0) | {"source": "ami", "batch_id": "b1", "run_id": "r1", "lines": 1000}
    return Row(*LEDGER.names)(*(values | counts).values())


def told(entries: list[Row], settings: Settings, webhook: str = "") -> list[Row]:
    quality = settings.quality.model_copy(update={"webhook": webhook, "alert_share": 0.005})
    settings = settings.model_copy(update={"quality": quality})
    return alerts.raise_alerts(entries, run_id="r1", source=AMI, settings=settings)


@pytest.mark.parametrize(
    ("counts", "alerted"),
    [
        pytest.param({}, False, id="clean_batch"),
        pytest.param({"quarantined": 5}, False, id="exactly_half_a_percent"),
        pytest.param({"quarantined": 6}, True, id="above_half_a_percent"),
        pytest.param({"unparsable": 3, "quarantined": 3}, True, id="unparsable_and_rejected_add_up"),
        pytest.param(
            {"exact_duplicates": 400, "superseded": 400}, False, id="repeated_and_superseded_are_not_corrupted"
        ),
        pytest.param({"lines": 0}, False, id="batch_without_lines"),
    ],
)
def test_more_than_the_share_is_an_alert(settings: Settings, counts: dict[str, int], alerted: bool) -> None:
    (verdict,) = told([entry(**counts)], settings)

    assert list(verdict.asDict()) == QUALITY_RESULTS.names
    assert (verdict.suite, verdict.severity, verdict.success) == ("alerts", "warning", not alerted)


def test_the_sentence_says_what_is_wrong(settings: Settings) -> None:
    (verdict,) = told([entry(lines=2000, unparsable=12, quarantined=30)], settings)

    assert verdict.observed == (
        "2.10% of the 2,000 lines of batch b1 of source ami are corrupted: 12 do not parse, 30 broke a rule."
    )


def test_alerts_reach_the_webhook_in_one_message(settings: Settings, chat: Chat) -> None:
    told([entry(quarantined=60), entry(batch_id="b2"), entry(batch_id="b3", unparsable=70)], settings, chat.address)

    ((content_type, message),) = chat.messages
    assert content_type == "application/json"
    assert list(message) == ["text"]
    assert "batch b1" in message["text"]
    assert "batch b2" not in message["text"]
    assert "7.00% of the 1,000 lines of batch b3" in message["text"]


def test_a_clean_batch_sends_nothing(settings: Settings, chat: Chat) -> None:
    told([entry()], settings, chat.address)
    assert chat.messages == []


def test_no_entries_give_no_verdicts(settings: Settings, chat: Chat) -> None:
    assert told([], settings, chat.address) == []
    assert chat.messages == []


def test_a_chat_that_refuses_is_a_warning_without_the_address(
    settings: Settings, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    chat.status = 500
    with caplog.at_level(logging.WARNING, logger="meterlake"):
        (verdict,) = told([entry(quarantined=60)], settings, chat.address)

    assert not verdict.success
    assert "it answered 500" in caplog.text
    assert "secret-token" not in caplog.text


@pytest.mark.parametrize(
    "webhook",
    [
        pytest.param("http://127.0.0.1:9/secret-token", id="nobody_listens"),
        pytest.param("http://127.0.0.1:port/secret-token", id="no_port"),
        pytest.param("file:///secret-token", id="no_web_address"),
        pytest.param("secret-token", id="no_address_at_all"),
    ],
)
def test_a_wrong_address_does_not_stop_the_run(
    settings: Settings, caplog: pytest.LogCaptureFixture, webhook: str
) -> None:
    with caplog.at_level(logging.WARNING, logger="meterlake"):
        (verdict,) = told([entry(quarantined=60)], settings, webhook)

    assert not verdict.success
    assert "webhook of [quality]" in caplog.text
    assert "secret-token" not in caplog.text


def test_a_chat_that_does_not_answer_is_given_up(
    settings: Settings, chat: Chat, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "TIMEOUT_SECONDS", 0.2)
    chat.silent_until.clear()
    with caplog.at_level(logging.WARNING, logger="meterlake"):
        told([entry(quarantined=60)], settings, chat.address)

    assert "TimeoutError" in caplog.text
