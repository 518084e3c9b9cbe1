"""Logs go to stderr, as text or JSON, and never show a secret."""

import json
import logging

import pytest

from stretto.cli import logs

PLANTED = "sk-planted0123456789abcdef"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_secret_is_masked_wherever_it_stands(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.start(2, form)  # type: ignore[arg-type]
    log = logging.getLogger("stretto.models.wire")
    log.info("key %s", PLANTED)
    log.info("headers %r", {"Authorization": f"Bearer {PLANTED}"})
    log.info("GET https://me:%s@example.org/v1?api_key=%s", PLANTED, PLANTED)
    log.info('tool pay({"token": "%s"})', PLANTED)
    try:
        raise ValueError(f"api_key={PLANTED}")
    except ValueError:
        log.exception("failed")
    err = capsys.readouterr().err
    assert len(err.splitlines()) >= 5
    assert PLANTED not in err
    assert "ValueError" in err


def test_a_configured_key_of_any_shape_is_masked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_GATEWAY_TOKEN", "plain words as a key")
    logs.start(1, "text")
    logging.getLogger("stretto").info("sent plain words as a key")
    assert capsys.readouterr().err.endswith("INFO stretto: sent ***\n")


def test_json_logs_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.start(1, "json")
    logging.getLogger("stretto.graph").info("two\nlines")
    entry = json.loads(capsys.readouterr().err)
    assert (entry["level"], entry["logger"], entry["message"]) == ("INFO", "stretto.graph", "two\nlines")


@pytest.mark.parametrize(("verbose", "shown"), [(0, 0), (1, 2), (2, 4)])
def test_verbosity_chooses_what_is_shown(
    verbose: int, shown: int, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.start(verbose, "text")
    logging.getLogger("stretto").warning("a warning")
    logging.getLogger("stretto").info("what happens")
    logging.getLogger("stretto").debug("everything")
    logging.getLogger("another.package").info("its own business")
    logging.getLogger("another.package").debug("all it holds")
    assert len(capsys.readouterr().err.splitlines()) == shown


def test_starting_twice_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.start(1, "text")
    logs.start(1, "text")
    logging.getLogger("stretto").info("once")
    assert len(capsys.readouterr().err.splitlines()) == 1
