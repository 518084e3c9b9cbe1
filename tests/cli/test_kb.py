"""`stretto kb` fills a base, searches it and tells what is in it; the search itself is tested in its room."""

import json
from pathlib import Path
from typing import Any

import pytest

from stretto.cli import kb
from stretto.cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.model("minilm")]

LEAVE = "# Parental leave\n\nParents may take twelve weeks of paid leave after the birth of a child.\n"
LUNCH = "# Canteen\n\nLunch is served from noon to two. Soup of the day costs three pounds.\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "stretto.yaml").write_text("agent: desk\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "leave.md").write_text(LEAVE)
    (tmp_path / "docs" / "canteen.md").write_text(LUNCH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def asked(capsys: pytest.CaptureFixture[str], *given: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = main(["kb", *given, "--kb", "handbook", "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_what_is_added_is_found(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = asked(capsys, "add", "docs/")
    assert (code, len(report["added"]), report["failed"]) == (0, 2, [])
    assert (project / ".stretto" / "knowledge" / "handbook").is_dir()

    code, found = asked(capsys, "search", "how long may parents stay at home", "--top-k", "1")
    (hit,) = found["hits"]
    assert list(hit) == ["document", "chunk", "page", "score", "scores", "text"]
    assert hit["document"].endswith("leave.md") and "twelve weeks" in hit["text"]
    assert 0 < hit["score"] <= 1 and set(hit["scores"]) <= {"dense", "keyword"}

    code, status = asked(capsys, "status")
    assert (code, status["documents"]) == (0, 2)


def test_a_second_add_reads_only_what_changed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, "add", "docs/")
    (project / "docs" / "canteen.md").write_text(LUNCH.replace("three", "four"))
    _, report = asked(capsys, "add", "docs/")
    assert (len(report["changed"]), len(report["unchanged"])) == (1, 1)


def test_people_see_a_table_with_the_words_they_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kb", "add", "docs/leave.md", "docs/canteen.md"]) == 0
    assert capsys.readouterr().out == "2 added, 0 changed, 0 unchanged, 0 removed\n"
    assert main(["kb", "search", "soup"]) == 0
    text = capsys.readouterr().out
    assert "score" in text and "canteen.md" in text and "Soup of the day" in text
    assert main(["kb", "status"]) == 0
    assert "leave.md" in capsys.readouterr().out


def test_a_dry_run_shows_what_would_change(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kb", "add", "docs/", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "+ canteen.md\n+ leave.md\n" in out and "would embed 2 passages: 2 added" in out
    assert asked(capsys, "status")[0] == 1


def test_a_watched_folder_is_shown_until_it_is_ended(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def twice(base: Any, *sources: str, **options: Any) -> Any:
        yield await base.add(*sources, **options)
        (project / "docs" / "leave.md").unlink()
        yield await base.add(*sources, **options)

    monkeypatch.setattr("stretto.knowledge.KnowledgeBase.watch", twice)
    assert main(["kb", "add", "docs/", "--watch"]) == 0
    assert capsys.readouterr().out == (
        "2 added, 0 changed, 0 unchanged, 0 removed\n0 added, 0 changed, 1 unchanged, 1 removed\n"
    )


def test_a_source_that_fails_is_told_and_the_others_are_in(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "docs" / "broken.pdf").write_bytes(b"%PDF-1.7 nothing more")
    code = main(["kb", "add", "docs/", "--json"])
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (code, len(report["added"])) == (1, 2)
    assert report["failed"][0]["source"].endswith("broken.pdf")
    assert err.startswith("failed: ") and "Traceback" not in err


@pytest.mark.parametrize("action", [["search", "soup"], ["status"]])
def test_a_base_that_is_not_there_is_not_made(
    action: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kb", *action, "--kb", "handbok"]) == 1
    assert capsys.readouterr().err == (
        "error: there is no knowledge base `handbok` (there: none). Type: stretto kb add PATH --kb handbok\n"
    )
    assert not (project / ".stretto").exists()


def test_the_projects_storage_is_kept_to(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "stretto.yaml").write_text("storage: var/data\n")
    assert asked(capsys, "add", "docs/")[0] == 0
    assert (project / "var" / "data" / "knowledge" / "handbook").is_dir()
    assert asked(capsys, "search", "soup")[1]["hits"]


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_top_k_is_a_positive_number(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kb", "search", "soup", "--top-k", number]) == 2


def test_a_passage_is_cut_around_the_words_that_were_asked_for() -> None:
    text = "before " * 60 + "the soup of the day " + "after " * 80
    shown = kb._highlighted("What soup?", text)
    assert "soup of the day" in shown.plain and len(shown.plain) < 400
    assert shown.plain.startswith("… ") and shown.plain.endswith(" …")
    assert [str(span.style) for span in shown.spans] == ["bold yellow"]


def test_a_filter_is_given_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, "add", "docs/")
    _, found = asked(capsys, "search", "soup", "--where", '{"document": {"$in": ["leave.md"]}}')
    assert {hit["document"] for hit in found["hits"]} == {"leave.md"}
    assert main(["kb", "search", "soup", "--where", "[1]", "--kb", "handbook"]) == 2
    code, error = asked(capsys, "search", "soup", "--where", '{"year": {"$like": 1}}')
    assert code == 1 and "$like" in json.dumps(error)


def test_a_base_goes_into_one_file_and_comes_out(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, "add", "docs/")
    code, told = asked(capsys, "export", "base.zip")
    assert (code, told["documents"]) == (0, 2)
    capsys.readouterr()
    assert main(["kb", "import", "base.zip", "--kb", "other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert main(["kb", "search", "soup of the day", "--kb", "other", "--json", "--top-k", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"][0]["document"] == "canteen.md"


def test_a_collection_in_beir_form_gives_a_trec_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project / "beir"
    folder.mkdir()
    rows = [{"_id": "leave", "title": "Leave", "text": LEAVE}, {"_id": "lunch", "title": "", "text": LUNCH}]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "soup of the day"}\n')
    code, report = asked(capsys, "add", "--beir", "beir")
    assert (code, report["added"]) == (0, ["leave", "lunch"])
    code, told = asked(capsys, "search", "--beir", "beir", "out.trec", "--top-k", "5")
    assert (code, told["queries"]) == (0, 1)
    lines = (project / "out.trec").read_text().splitlines()
    assert lines[0].split()[:4] == ["q1", "Q0", "lunch", "1"] and lines[0].endswith(" stretto")
    assert len(lines) == 2
    assert main(["kb", "search", "--kb", "handbook"]) == 2


def test_a_folder_is_mirrored_and_documents_are_taken_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = asked(capsys, "sync", "docs/")
    assert (code, len(report["added"])) == (0, 2)
    (project / "docs" / "canteen.md").unlink()
    assert asked(capsys, "sync", "docs/")[1]["removed"] == ["canteen.md"]
    assert asked(capsys, "remove", "docs/leave.md") == (0, {"removed": ["leave.md"]})
    assert asked(capsys, "status")[1]["documents"] == 0
    assert main(["kb", "sync", "nowhere/", "--kb", "handbook"]) == 1
    assert "not a folder" in capsys.readouterr().err


def test_a_base_is_checked_and_built_anew(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, "add", "docs/")
    code, report = asked(capsys, "verify")
    assert (code, report["ok"], report["chunks"]) == (0, True, 2)
    code, report = asked(capsys, "rebuild")
    assert (code, report["chunks"], report["embedded"]) == (0, 2, 0)
    assert main(["kb", "verify", "--repair", "--kb", "handbook"]) == 0
    assert "2 passages: all are found" in capsys.readouterr().out


def test_tenant_and_groups_decide_what_is_found(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, "add", "docs/leave.md", "--tenant", "acme", "--access", "staff")
    assert asked(capsys, "search", "leave")[1]["hits"] == []
    assert asked(capsys, "search", "leave", "--tenant", "acme")[1]["hits"] == []
    _, found = asked(capsys, "search", "leave", "--tenant", "acme", "--group", "staff")
    assert found["hits"][0]["document"] == "leave.md"
    assert asked(capsys, "status", "--tenant", "acme")[1]["tenants"] == ["default", "acme"]


def test_what_was_replaced_is_forgotten_by_age(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, "add", "docs/")
    (project / "docs" / "leave.md").write_text("# Leave\n\nParents get 15 months.")
    asked(capsys, "add", "docs/")
    assert asked(capsys, "prune") == (0, {"forgotten": 0})
    code, told = asked(capsys, "prune", "--days", "0")
    assert code == 0 and told["forgotten"] > 0


def test_a_mistake_leaves_no_empty_base(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = asked(capsys, "add", "nowhere", "--beir")
    assert code == 1 and "corpus.jsonl" in json.dumps(error)
    code, error = asked(capsys, "import", "nothing.zip")
    assert code == 1 and "kb export" in json.dumps(error)
    assert not (project / ".stretto" / "knowledge" / "handbook").exists()
    assert main(["kb", "add", "docs", "--beir", "--watch", "--kb", "handbook"]) == 2
