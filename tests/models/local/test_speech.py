import importlib
import io
import wave

import pytest

from stretto.errors import DamagedMedia, MediaNotFound, MissingExtra, ModelNotFound
from stretto.models.local import cache as local_cache
from stretto.models.local import speech
from stretto.models.local.speech import transcribe


def silence(seconds: float = 1.0) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(int(32000 * seconds)))
    return out.getvalue()


def test_a_recording_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MediaNotFound, match="no recording at"):
        transcribe(tmp_path / "gone.wav")


def test_without_the_model_the_command_is_named(cache):
    with pytest.raises(ModelNotFound, match="stretto models pull whisper-base"):
        transcribe(silence())


def test_a_missing_package_names_the_extra(monkeypatch, tmp_path):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    monkeypatch.setattr(speech, "path_of", lambda name: tmp_path / "model.bin")
    monkeypatch.setattr(speech, "_loaded", {})
    with pytest.raises(MissingExtra, match=r'pip install "stretto\[speech\]"'):
        transcribe(silence())


@pytest.mark.slow
@pytest.mark.skipif(
    not local_cache.installed("whisper-base"), reason="type: stretto models pull whisper-base"
)
def test_content_that_is_no_recording_is_refused_and_silence_says_nothing():
    pytest.importorskip("faster_whisper", reason="the extra `speech` is not installed")
    with pytest.raises(DamagedMedia, match="could not be read"):
        transcribe(b"no recording")
    assert transcribe(silence(), language="en").text == ""
