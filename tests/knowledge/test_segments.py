"""Words of any script are found: by the same words, in other forms, without accents and vowel marks."""

import pytest

from stretto.knowledge.keyword import KeywordIndex
from stretto.knowledge.segments import segmented

TEXTS = {
    "zh": "今天天气很好 我们去公园散步。图书馆星期一关闭。",
    "ja": "東京タワーは高さ三百三十三メートルです。",
    "ko": "도서관은 월요일에 문을 닫습니다.",
    "th": "ห้องสมุดปิดทุกวันจันทร์",
    "ar": "المكتبة مغلقة يوم الاثنين",
    "fa": "کتابخانه دوشنبه تعطیل است",
    "he": "הספרייה סגורה ביום שני",
    "hi": "पुस्तकालय सोमवार को बंद रहता है। विश्वविद्यालय खुला है।",
    "ru": "Библиотека закрыта по понедельникам",
    "el": "η βιβλιοθήκη είναι κλειστή τη Δευτέρα",
    "tr": "İstanbul kütüphanesi pazartesi kapali",
    "vi": "Thư viện đóng cửa vào thứ Hai",
    "de": "Die Bücherei schließt am Montag",
    "ta": "நூலகம் திங்கட்கிழமை மூடப்பட்டிருக்கும்",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    opened = KeywordIndex(tmp_path_factory.mktemp("words") / "keywords")
    opened.upsert(TEXTS.items())
    opened.commit()
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("query", "language"),
    [
        ("图书馆什么时候关闭", "zh"),
        ("公园", "zh"),
        ("東京", "ja"),
        ("도서관이", "ko"),
        ("ห้องสมุด", "th"),
        ("مكتبة", "ar"),
        ("مُغْلَقَة", "ar"),
        ("كتابخانه", "fa"),
        ("סְגוּרָה", "he"),
        ("विश्वविद्यालय", "hi"),
        ("библиотеку", "ru"),
        ("βιβλιοθηκη", "el"),
        ("istanbul", "tr"),
        ("thu vien", "vi"),
        ("bucherei", "de"),
        ("நூலகம்", "ta"),
    ],
)
def test_a_word_is_found_in_its_language(index, query, language):
    assert [key for key, _ in index.query(query, 1)] == [language]


def test_a_decomposed_text_equals_a_composed_one():
    assert segmented("Bu\u0308cherei") == segmented("B\u00fccherei")


def test_ascii_is_left_as_it_is():
    text = "Refunds take 5 days."
    assert segmented(text) is text


def test_runs_without_spaces_become_pairs_and_single_letters_stay():
    assert segmented("公园好a水").split() == ["公园", "园好", "a", "水"]
