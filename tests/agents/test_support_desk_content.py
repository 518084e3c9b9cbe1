"""The content of the reference agent: documents, pictures, tools, cases and route examples fit together."""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pypdfium2
import pytest
import yaml
from PIL import Image, ImageChops, ImageStat
from selectolax.lexbor import LexborHTMLParser

from stretto.errors import ToolError

ROOT = Path(__file__).resolve().parents[2]
KNOWLEDGE = ROOT / "agents/support_desk/knowledge"
EVALS = ROOT / "evals/support_desk"
FROZEN = "68046158cc8dad6ea6f1edfa4b786d31b7bd48bb68ea5b2a1d2b08b23569f276"
CASES = [json.loads(line) for line in (EVALS / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
BY_ID = {case["id"]: case for case in CASES}
ROUTES = {
    name: way
    for file in ("routes.yaml", "tools.yaml")
    for name, way in yaml.safe_load((ROOT / "agents/support_desk" / file).read_text(encoding="utf-8")).items()
}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_content_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load(ROOT / "scripts/make_support_desk.py")


def plain(text: str) -> str:
    return " ".join(text.lower().replace("-", " ").split())


def pdf_text(path: Path) -> str:
    document = pypdfium2.PdfDocument(path)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def text_of(source: str) -> str:
    path = KNOWLEDGE / source
    if source == "battery-recall.pdf":
        return "\n".join(f"{heading}\n{text}" for heading, text in SCRIPT.RECALL_NOTICE)
    if path.suffix == ".pdf":
        return pdf_text(path)
    if path.suffix == ".html":
        body = LexborHTMLParser(path.read_text(encoding="utf-8")).css_first("main, article")
        assert body is not None
        return body.text(separator=" ")
    return path.read_text(encoding="utf-8")


def alternatives(part: str | list[str]) -> list[str]:
    return [part] if isinstance(part, str) else part


def missing(case: dict, text: str) -> list:
    found = plain(text)
    parts = case["expect"]["contains"]
    return [part for part in parts if not any(plain(one) in found for one in alternatives(part))]


def of_route(route: str) -> list[dict]:
    return [case for case in CASES if case["expect"]["route"] == route]


@pytest.fixture
def shop(tmp_path: Path) -> ModuleType:
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    return load(tmp_path / "tools" / "shop.py")


def test_there_are_eighty_cases_in_the_promised_mix_and_half_of_them_are_frozen():
    assert len(BY_ID) == len(CASES) == 80
    assert len({(case["question"], *case["attach"]) for case in CASES}) == 80
    mix = {"picture": 14, "knowledge": 34, "tool": 14, "small_talk": 8, "out_of_scope": 10}
    assert Counter(case["expect"]["route"] for case in CASES) == mix
    frozen = Counter(case["expect"]["route"] for case in CASES if case["frozen"])
    assert frozen == {"picture": 8, "knowledge": 17, "tool": 6, "small_talk": 4, "out_of_scope": 5}


def test_the_frozen_cases_are_the_ones_that_were_committed_before_anything_was_tuned():
    frozen = json.dumps([case for case in CASES if case["frozen"]], sort_keys=True)
    assert hashlib.sha256(frozen.encode()).hexdigest() == FROZEN


def test_every_source_and_picture_of_a_case_exists():
    for case in CASES:
        assert all((KNOWLEDGE / source).is_file() for source in case["expect"]["sources"]), case["id"]
        assert all((EVALS / picture).is_file() for picture in case["attach"]), case["id"]
        assert bool(case["attach"]) == (case["expect"]["route"] == "picture"), case["id"]
    used = {Path(picture).name for case in CASES for picture in case["attach"]}
    assert used == {path.name for path in (EVALS / "pictures").iterdir()} == set(SCRIPT.DRAWINGS)


def test_the_cases_ask_about_every_document():
    documents = {path.name for path in KNOWLEDGE.iterdir()}
    assert len(documents) >= 16
    assert Counter(Path(name).suffix for name in documents) >= Counter({".md": 12, ".html": 2, ".pdf": 2})
    assert documents == {source for case in of_route("knowledge") for source in case["expect"]["sources"]}


def test_a_case_expects_only_what_its_route_can_give():
    for case in CASES:
        expect = case["expect"]
        assert ("tool" in expect) == (expect["route"] == "tool"), case["id"]
        if expect["route"] in ("small_talk", "out_of_scope"):
            assert expect["sources"] == expect["contains"] == [], case["id"]
        else:
            assert expect["contains"], case["id"]


@pytest.mark.parametrize("case", of_route("picture"), ids=lambda case: case["id"])
def test_a_twin_asks_the_same_about_a_picture_that_changes_the_answer(case: dict):
    twin = BY_ID[case["twin"]]
    assert twin["twin"] == case["id"]
    assert (twin["question"], twin["frozen"]) == (case["question"], case["frozen"])
    assert twin["attach"] != case["attach"]
    mine, other = case["expect"]["contains"], twin["expect"]["contains"]
    assert missing(case, " ".join(one for part in other for one in alternatives(part)))
    assert mine != other


@pytest.mark.parametrize("case", of_route("knowledge"), ids=lambda case: case["id"])
def test_the_answer_to_a_knowledge_case_stands_in_its_source(case: dict):
    assert not missing(case, "\n".join(text_of(source) for source in case["expect"]["sources"]))


def test_no_route_example_equals_a_case_or_shares_four_words_in_a_row_with_one():
    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"[a-z0-9]+", text.lower())
        return {tuple(words), *(tuple(words[i : i + 4]) for i in range(len(words) - 3))}

    assert set(ROUTES) == {
        "knowledge",
        "small_talk",
        "out_of_scope",
        "order_status",
        "check_stock",
        "open_return",
    }
    for route, entry in ROUTES.items():
        assert entry["description"] and 4 <= len(entry["examples"]) <= 24, route
        for example in entry["examples"]:
            shared = [case["id"] for case in CASES if runs(example) & runs(case["question"])]
            assert not shared, (example, shared)


def test_every_product_of_the_shop_is_named_in_an_example_of_the_stock_tool():
    examples = "\n".join(ROUTES["check_stock"]["examples"])
    records = (ROOT / "tools/shop.sql").read_text(encoding="utf-8")
    products = re.findall(r"\('[A-Z]{2}-\d{3}', '([^']+)'", records)
    assert len(products) == 20
    for product in products:
        proper = re.findall(r"(?<= )[A-Z][a-z]{2,}", product)
        assert all(name in examples for name in proper), product


def test_the_web_pages_hold_junk_that_is_not_part_of_their_text():
    for name, junk in (("rental-conditions.html", "999 euros"), ("size-guide.html", "frame 99")):
        assert junk in (KNOWLEDGE / name).read_text(encoding="utf-8")
        assert junk not in text_of(name)


def test_the_script_makes_the_same_pictures_and_documents_again(tmp_path: Path):
    made = SCRIPT.make(tmp_path)
    assert len(made) == 14
    for path in made:
        kept = ROOT / path.relative_to(tmp_path)
        if path.suffix == ".png":
            assert difference(Image.open(path), Image.open(kept)) < 1, path.name
        else:
            assert pdf_text(path) == pdf_text(kept), path.name
            assert difference(first_page(path), first_page(kept)) < 1, path.name


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def first_page(path: Path) -> Image.Image:
    document = pypdfium2.PdfDocument(path)
    try:
        return document[0].render(scale=1).to_pil()
    finally:
        document.close()


def test_the_scan_holds_no_text_and_the_guide_has_two_columns():
    assert not pdf_text(KNOWLEDGE / "battery-recall.pdf").strip()
    document = pypdfium2.PdfDocument(KNOWLEDGE / "tyre-guide.pdf")
    try:
        page = document[0].get_textpage()
        lefts = {round(page.get_rect(i)[0]) // 100 for i in range(page.count_rects())}
    finally:
        document.close()
    assert {0, 3} <= lefts


@pytest.mark.slow
def test_ocr_reads_what_the_answers_need_in_every_picture():
    from rapidocr import RapidOCR

    needed = {
        "receipt-helmet": ["04 May 2026", "74.40"],
        "receipt-outlet": ["97.50", "FINAL SALE"],
        "display-e21": ["E21"],
        "display-e07": ["E07"],
        "tyre-trekking": ["47-622"],
        "tyre-road": ["28-622"],
        "chart-2025": ["August", "362"],
        "chart-2024": ["August", "339"],
        "parcel-heron": ["HERON FREIGHT"],
        "parcel-postline": ["POSTLINE"],
        "battery-kx24": ["KX24-03817"],
        "battery-kx25": ["KX25-11264"],
    }
    assert {f"{name}.png" for name in needed} == set(SCRIPT.DRAWINGS)
    read = RapidOCR()
    for name, words in needed.items():
        text = "\n".join(read(EVALS / "pictures" / f"{name}.png").txts)
        assert not [word for word in words if word not in text], (name, text)


@pytest.mark.parametrize("case", of_route("tool"), ids=lambda case: case["id"])
def test_the_tool_of_a_case_gives_the_parts_of_its_answer(case: dict, shop: ModuleType):
    order = re.search(r"fc-\d+", case["question"].lower())
    arguments = [order.group() if order else case["question"]]
    if case["expect"]["tool"] == "open_return":
        arguments.append("it does not fit")
    try:
        answer = getattr(shop, case["expect"]["tool"])(*arguments)
    except ToolError as error:
        answer = str(error)
    assert not missing(case, answer)


def test_the_tools_say_what_they_take_and_what_they_change(shop: ModuleType):
    assert {name: getattr(shop, name).effect for name in ("order_status", "check_stock", "open_return")} == {
        "order_status": "none",
        "check_stock": "none",
        "open_return": "once",
    }
    schema = shop.open_return.spec.parameters
    assert set(schema["required"]) == {"order_id", "reason"}
    assert all(field["description"] for field in schema["properties"].values())


def test_an_order_is_found_however_its_number_is_written(shop: ModuleType):
    answers = {shop.order_status(text) for text in ("FC-1042", "fc 1042", "#1042", "1042")}
    assert len(answers) == 1
    assert "12 June 2026" in answers.pop()


@pytest.mark.parametrize("order", ["FC-9999", "", "my bike", "x' OR '1'='1"])
def test_an_unknown_order_is_an_error_that_tells_what_a_number_looks_like(order: str, shop: ModuleType):
    with pytest.raises(ToolError, match="looks like FC-1042"):
        shop.order_status(order)
    with pytest.raises(ToolError, match="looks like FC-1042"):
        shop.open_return(order, "too small")


def test_stock_is_found_by_any_words_of_the_name_and_by_article_number(shop: ModuleType):
    for words in ("pump", "Gale floor pumps", "pu-110"):
        assert (
            shop.check_stock(words) == "Floor pump Gale (article PU-110, 32.00 euros) is in stock: 23 pieces."
        )
    assert len(shop.check_stock("Alder").splitlines()) == 4
    assert "New stock arrives on" in shop.check_stock("helmet aspen l")
    with pytest.raises(ToolError, match="No product matches `toaster`"):
        shop.check_stock("toaster")


def test_a_return_is_opened_once_and_only_for_a_delivered_order(shop: ModuleType):
    assert "The return RT-1038 is open" in shop.open_return("FC-1038", "wrong colour")
    assert "already open for order FC-1038: RT-1038" in shop.open_return("FC-1038", "wrong colour")
    with pytest.raises(ToolError, match="has not been delivered"):
        shop.open_return("FC-1042", "too big")


def test_processes_that_start_at_once_make_one_whole_database(shop: ModuleType):
    code = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('shop', sys.argv[1])\n"
        "shop = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(shop)\n"
        "print(shop.open_return('FC-1038', 'wrong colour'))\n"
    )
    command = [sys.executable, "-c", code, str(shop.__file__)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sum("The return RT-1038 is open" in answer for answer in answers) == 1
    assert "23 pieces" in shop.check_stock("pump")
