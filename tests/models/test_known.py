import pytest

from stretto.models.known import capabilities_at, capabilities_of
from stretto.models.protocol import Capabilities


@pytest.mark.parametrize(
    ("name", "vision", "context"),
    [
        ("gpt-4o-mini", True, 128_000),
        ("gpt-4o-2024-08-06", True, 128_000),
        ("gpt-4", False, 8192),
        ("gpt-3.5-turbo", False, 16_385),
        ("o3-mini", False, 200_000),
        ("o3", True, 200_000),
        ("openai/gpt-4.1-nano", True, 1_047_576),
        ("llama3.2", False, 131_072),
        ("llama3.1:8b", False, 131_072),
        ("meta-llama/Llama-3.1-8B-Instruct", False, 131_072),
        ("llama3", False, 8192),
        ("llama3.2-vision:11b", True, 131_072),
        ("gemma3:4b", True, 131_072),
        ("gemma3:1b", False, 32_768),
        ("qwen2.5:7b", False, 32_768),
        ("Qwen/Qwen2.5-VL-7B-Instruct", True, 32_768),
        ("anthropic/claude-sonnet-4", True, 200_000),
    ],
)
def test_models_are_known_by_name(name, vision, context):
    known = capabilities_of(name)
    assert (known.vision, known.context) == (vision, context)


def test_a_name_nobody_knows_gets_careful_defaults():
    assert capabilities_of("my-own-model") == Capabilities()


def test_a_server_that_goes_on_behind_a_text_does_so_for_every_model():
    assert capabilities_at("vllm", "my-own-model") == Capabilities(prefill=True)
    assert capabilities_at("llamacpp", "qwen2.5-vl-7b").prefill
    assert capabilities_at("openai", "gpt-4o") == capabilities_of("gpt-4o")
    assert not capabilities_at("openai", "gpt-4o").prefill
