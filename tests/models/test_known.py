import pytest

from stretto.models.known import capabilities_of
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
