import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto._internal.redact import _RULES, redact

KEY = "sk-" + "proj-abcDEF1234567890"


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} is wrong",
        "Authorization: Bearer tok3n-of-mine-SECRET",
        "{'Authorization': 'Basic dXNlcjpSECRET=='}",
        '{"authorization":"SECRET"}',
        "Cookie: session=SECRET; other=SECRET",
        "https://user:SECRET@host/path",
        "postgres://SECRET@host/db",
        "https://host/path?a=1&api_key=SECRET&b=2",
        "https://host/?access_token=SECRET",
        "https://host/?X-Amz-Signature=SECRET&x=1",
        "OPENAI_API_KEY=SECRET python x.py",
        '{"api_key": "SECRET", "x": 1}',
        r"{\"api_key\": \"SECRET\"}",
        "password: SECRET",
        "client_secret='SECRET'",
        "api_key=...SECRET",
        "api_key=...`SECRET",
        "x-api-key: SECRET",
        "bearer abcSECRET123456",
        "ghp_" + "a1B2" * 6,
        "AKIA" + "ABCDEFGH12345678",
        "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM",
        "-----BEGIN RSA PRIVATE KEY-----\nSECRET\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nSECRET cut off",
    ],
)
def test_a_secret_of_a_known_shape_is_masked(text: str):
    shown = redact(text)
    assert "***" in shown
    assert not any(part in shown for part in ("SECRET", KEY, "a1B2", "ABCDEFGH1234", "SflKx", "tok3n"))
    assert redact(shown) == shown, "masking again changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=500, total_tokens: 12",
        "https://host/path?q=1#part",
        "the basic idea and the bearer of news",
        "mail ann@example.org about order 12345",
        "a key point: tokens are counted",
        "file:///srv/data/a@b.txt and https://host/a@b",
        "sk- and pk-short",
        "set OPENAI_API_KEY, or pass api_key=... or `api_key=...`; see Model(api_key=..., base_url=...)",
    ],
)
def test_plain_text_stays_as_it_is(text: str):
    assert redact(text) == text


def test_a_known_secret_is_masked_whatever_its_shape():
    assert redact("open hunter2 or hunter22", known=["hunter2", "hunter22", "x"]) == "open *** or ***"


def test_long_text_is_masked_in_linear_time():
    text = "a-" * 100_000 + " https://" + "x" * 100_000 + " token" * 10_000
    assert redact(text) == text


@given(
    st.text().filter(lambda text: not re.search(r"[-_:=,\s]", text)) | st.text("abcdeyJIAK.SE09", min_size=20)
)
def test_a_text_that_is_skipped_holds_nothing_that_a_rule_would_mask(text: str):
    shown = text
    for pattern, replacement in _RULES:
        shown = pattern.sub(replacement, shown)
    assert redact(text) == shown
