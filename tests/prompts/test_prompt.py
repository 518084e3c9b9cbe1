from pathlib import Path

import pytest

from stretto import prompts
from stretto.errors import ConfigError
from stretto.prompts.prompt import MAX_FILE, parse


def write(root: Path, name: str, content: str | bytes) -> Path:
    path = root / "prompts" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_prompt_has_settings_text_and_a_version_of_its_content(tmp_path: Path):
    write(tmp_path, "support/answer", "---\ntemperature: 0.2\n---\n\nAnswer {{ question }} for {{name}}.\n")
    prompt = prompts.load(tmp_path, "support/answer")
    assert prompt.name == "support/answer"
    assert prompt.settings == {"temperature": 0.2}
    assert prompt.placeholders == ("question", "name")
    assert prompt.render(question="why", name="Ann") == "Answer why for Ann."
    assert len(prompt.version) == 12
    write(tmp_path, "support/answer", "---\ntemperature: 0.3\n---\n\nAnswer {{ question }} for {{name}}.\n")
    assert prompts.load(tmp_path, "support/answer").version != prompt.version


def test_line_ends_do_not_change_the_version():
    assert parse("x", "---\na: 1\n---\r\nhello\r\n") == parse("x", "---\na: 1\n---\nhello\n")


def test_values_are_filled_in_once_and_never_expanded_again():
    prompt = parse("x", "{{a}} {{b}} {% for %} ${c}")
    assert prompt.render(a="{{b}}", b=r"\1") == r"{{b}} \1 {% for %} ${c}"


def test_a_missing_value_tells_file_and_line(tmp_path: Path):
    path = write(tmp_path, "p", "---\na: 1\n---\n\nHello\n{{name}}\n{{other}}")
    prompt = prompts.load(tmp_path, "p")
    with pytest.raises(ConfigError) as error:
        prompt.render(name="Ann")
    assert str(error.value) == f"{path}:7: the prompt `p` needs a value for {{{{other}}}}"


def test_an_unknown_value_tells_what_there_is(tmp_path: Path):
    write(tmp_path, "p", "Hello {{name}}")
    with pytest.raises(
        ConfigError, match=r"p\.md:1: the prompt `p` has no place \{\{nome\}\}; it has \{\{name\}\}"
    ):
        prompts.load(tmp_path, "p").render(name="Ann", nome="x")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("---\na: 1\nno end", "p.md:1: the head begins"),
        ("---\na: [1\n---\nx", "p.md:2:6: the head is not YAML"),
        ("---\n- a\n---\nx", "p.md:2: the head has to be"),
        ("---\na: &x 1\nb: *x\n---\nx", "aliases"),
        ("---\na: !!python/object/apply:os.system ['true']\n---\nx", "p.md:2:4: the head is not YAML"),
        ("---\na: 2026-99-99\n---\nx", "p.md:2: the head is not YAML"),
        ("ok\n\n{{ a.b }}", "p.md:3: `{{ a.b }}` is no place to fill in: write {{name}}"),
        ("{{}}", "p.md:1: `{{}}`"),
        (b"ok\n\xff", "p.md:2: is not UTF-8 text"),
        ("x" * (MAX_FILE + 1), "at most"),
    ],
)
def test_a_malformed_prompt_is_told_with_its_line(tmp_path: Path, content: str | bytes, said: str):
    write(tmp_path, "p", content)
    with pytest.raises(ConfigError) as error:
        prompts.load(tmp_path, "p")
    assert said in str(error.value)


def test_a_missing_prompt_names_the_closest(tmp_path: Path):
    write(tmp_path, "support/answer", "x")
    with pytest.raises(ConfigError, match=r"no prompt `support/anser`\. Did you mean `support/answer`\?"):
        prompts.load(tmp_path, "support/anser")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", "a\\b", "", "a.md", "a/"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match="is no prompt name"):
        prompts.load(tmp_path, name)
