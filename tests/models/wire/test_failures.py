import pytest

from stretto.errors import BadRequest, ContextOverflow, ModelUnavailable, RateLimited
from stretto.models.wire.failures import Secrets, error_of_event, error_of_status, retry_after, shown_url


def error(status, body, *secrets):
    return error_of_status(status, {}, body, where="`m`", secrets=Secrets(*secrets))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "too  many\\nwords"}}', "`m` answered 500: too many words"),
        (b'{"error": "plain"}', "500: plain"),
        (b'[{"error": {"message": "in a list"}}]', "500: in a list"),
        (b'{"object": "error", "message": "flat"}', "500: flat"),
        (b'{"detail": "not found"}', "500: not found"),
        (b"just text", "500: just text"),
        (b"<html><body>Bad gateway</body></html>", "500: a web page, not an API's answer"),
        (b"\xff\xfe", "answered 500"),
        (b"", "`m` answered 500"),
    ],
)
def test_the_endpoint_s_own_words_are_shown_whatever_their_shape(body, words):
    assert words in str(error(500, body))


def test_long_words_are_cut():
    assert len(str(error(500, b"x" * 9999))) < 400


@pytest.mark.parametrize(
    "said",
    ["This model's maximum context length is 8192 tokens", "the request exceeds the available context size",
     "prompt is too long: 9 tokens > 8 maximum", "context_length_exceeded"],
)  # fmt: skip
def test_every_endpoint_s_way_to_say_too_long_is_one_error(said):
    assert type(error(400, said.encode())) is ContextOverflow


def test_a_secret_is_hidden_in_both_its_spellings():
    shown = str(error(400, b"key a/b+c and a%2Fb%2Bc", "a/b+c"))
    assert shown.count("***") == 2
    assert "a/b+c" not in repr(Secrets("a/b+c"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@host:8/v1?key=secret#x", "https://host:8/v1"),
        ("http://host/v1", "http://host/v1"),
        ("http://[::1", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url, shown):
    assert shown_url(url) == shown


def test_a_date_is_seconds_from_now():
    headers = {"retry-after": "Thu, 01 Jan 1970 00:01:30 GMT"}
    assert retry_after(headers, now=lambda: 60.0) == 30.0


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"code": 429, "message": "slow"}, RateLimited),
        ({"type": "rate_limit_error", "message": "slow"}, RateLimited),
        ({"code": "503"}, ModelUnavailable),
        ({"type": "invalid_request_error", "message": "no"}, BadRequest),
        ({"message": "context window exceeded"}, ContextOverflow),
        ("something broke", ModelUnavailable),
        (None, ModelUnavailable),
        ({"code": "999"}, ModelUnavailable),
    ],
)
def test_an_error_inside_an_answer_is_one_of_ours(event, expected):
    assert type(error_of_event(event, where="`m`", secrets=Secrets())) is expected
