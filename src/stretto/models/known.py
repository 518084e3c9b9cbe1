"""What models are known to do, by name. A guess that `capabilities=` overrides; asks no endpoint.

Figures are those the vendors publish; a name that no row matches gets careful defaults.
"""

import re
from fnmatch import fnmatchcase

import msgspec

from stretto.models.protocol import Capabilities
from stretto.models.providers import PROVIDERS
from stretto.settings import MediaRules

_K = 1024

_TILES = MediaRules(max_side=2048, max_short=768)
_PATCHES = MediaRules(max_side=2048, max_pixels=1536 * 32 * 32, formula="patches")
_AREA = MediaRules(max_pixels=1_200_000, formula="area")
_CROPS = MediaRules(max_side=3072, formula="crops", per_tile=258, per_page=258)
_SOUND = MediaRules(per_second=10)


def _patches(factor: float) -> MediaRules:
    return msgspec.structs.replace(_PATCHES, factor=factor)


_KNOWN: tuple[tuple[str, Capabilities], ...] = (
    # users measured 1.2 and 1.5 for gpt-5-mini and -nano, where 1.62 and 2.46 are documented
    ("gpt-5-mini*", Capabilities(vision=True, context=400_000, media=_patches(1.2))),
    ("gpt-5-nano*", Capabilities(vision=True, context=400_000, media=_patches(1.5))),
    ("gpt-5*", Capabilities(vision=True, context=400_000)),
    ("gpt-4.1-mini*", Capabilities(vision=True, context=1_047_576, media=_patches(1.62))),
    ("gpt-4.1-nano*", Capabilities(vision=True, context=1_047_576, media=_patches(2.46))),
    ("gpt-4.1*", Capabilities(vision=True, context=1_047_576, media=_TILES)),
    ("gpt-4o-audio*", Capabilities(audio=True, json_schema=False, context=128_000, media=_SOUND)),
    ("gpt-4o*", Capabilities(vision=True, context=128_000, media=_TILES)),
    ("chatgpt-4o*", Capabilities(vision=True, tools=False, context=128_000, media=_TILES)),
    ("gpt-4-turbo*", Capabilities(vision=True, json_schema=False, context=128_000)),
    ("gpt-4*", Capabilities(json_schema=False, context=8 * _K)),
    ("gpt-3.5-turbo*", Capabilities(json_schema=False, context=16_385)),
    ("gpt-oss*", Capabilities(context=128 * _K)),
    ("o1-mini*", Capabilities(tools=False, json_schema=False, context=128_000)),
    ("o3-mini*", Capabilities(context=200_000)),
    ("o[1345]*", Capabilities(vision=True, context=200_000)),
    ("claude-*", Capabilities(vision=True, context=200_000, media=_AREA)),
    ("gemini-*", Capabilities(vision=True, audio=True, context=1_048_576, media=_CROPS)),
    ("gemma-3-1b*", Capabilities(context=32 * _K)),
    ("gemma-3-*", Capabilities(vision=True, context=128 * _K)),
    ("llava*", Capabilities(vision=True, tools=False, context=4 * _K)),
    ("llama-3.2-*vision*", Capabilities(vision=True, context=128 * _K)),
    ("llama-4*", Capabilities(vision=True, context=128 * _K)),
    ("llama-3.[123]*", Capabilities(context=128 * _K)),
    ("llama-3*", Capabilities(context=8 * _K)),
    ("pixtral*", Capabilities(vision=True, context=128 * _K)),
    ("mistral-*", Capabilities(context=32 * _K)),
    ("qwen*vl*", Capabilities(vision=True, context=32 * _K)),
    ("qwen*omni*", Capabilities(vision=True, audio=True, context=32 * _K)),
    ("qwen*", Capabilities(context=32 * _K)),
    ("deepseek-*", Capabilities(context=64 * _K)),
    ("phi-4*", Capabilities(context=16 * _K)),
)

_FAMILIES = re.compile(r"^(llama|gemma|qwen|phi)[-_]?(\d)")


def capabilities_of(model: str) -> Capabilities:
    """What the model of this name is known to do; careful defaults for a name nobody knows.

    A gateway's prefix (`vendor/model`), a tag (`model:7b`) and the spelling of the version
    (`llama3.1`, `Llama-3.1`) do not matter.
    """
    name = model.rsplit("/", 1)[-1].lower().replace(":", "-")
    if not name.startswith("qwen"):
        name = _FAMILIES.sub(r"\1-\2", name)
    for pattern, capabilities in _KNOWN:
        if fnmatchcase(name, pattern):
            return capabilities
    return Capabilities()


def capabilities_at(provider: str, model: str) -> Capabilities:
    """What the model of this name is known to do at this provider."""
    usual = PROVIDERS[provider].usual
    found = capabilities_of(model)
    if usual is None or usual.prefill is None:
        return found
    return msgspec.structs.replace(found, prefill=True)
