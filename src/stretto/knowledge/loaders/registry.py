"""Which loader reads which kind of file. The loaders' modules are imported when first used."""

from importlib import import_module
from pathlib import PurePath

from stretto.errors import DamagedMedia, MediaTooLarge, MissingExtra, UnsupportedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.protocol import Loaded, Loader

_HOME = "stretto.knowledge.loaders"
_OPEN = "application/vnd.openxmlformats-officedocument"
DOCX, PPTX, XLSX = (
    f"{_OPEN}.wordprocessingml.document",
    f"{_OPEN}.presentationml.presentation",
    f"{_OPEN}.spreadsheetml.sheet",
)

LOADERS: dict[str, str] = {
    "text/markdown": f"{_HOME}.text:load_markdown",
    "text/plain": f"{_HOME}.text:load_text",
    "text/html": f"{_HOME}.html:load_html",
    "application/xhtml+xml": f"{_HOME}.html:load_html",
    "application/pdf": f"{_HOME}.pdf:load_pdf",
    "image/png": f"{_HOME}.picture:load_picture",
    "image/jpeg": f"{_HOME}.picture:load_picture",
    "image/webp": f"{_HOME}.picture:load_picture",
    "text/csv": f"{_HOME}.delimited:load_delimited",
    "text/tab-separated-values": f"{_HOME}.delimited:load_delimited",
    "application/json": f"{_HOME}.records:load_json",
    "application/jsonl": f"{_HOME}.records:load_json_lines",
    "application/x-ndjson": f"{_HOME}.records:load_json_lines",
    "message/rfc822": f"{_HOME}.mail:load_mail",
    "text/x-code": f"{_HOME}.source_code:load_source_code",
    "application/yaml": f"{_HOME}.source_code:load_source_code",
    "application/xml": f"{_HOME}.source_code:load_source_code",
    "application/zip": f"{_HOME}.bundle:load_bundle",
    DOCX: f"{_HOME}.docx:load_docx",
    PPTX: f"{_HOME}.pptx:load_pptx",
    XLSX: f"{_HOME}.xlsx:load_xlsx",
}
"""Media type to `module:function`."""

SUFFIXES: dict[str, str] = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".ndjson": "application/jsonl",
    ".eml": "message/rfc822",
    ".zip": "application/zip",
    ".docx": DOCX,
    ".pptx": PPTX,
    ".xlsx": XLSX,
} | dict.fromkeys(
    [
        ".py",
        ".pyi",
        ".js",
        ".jsx",
        ".mjs",
        ".ts",
        ".tsx",
        ".go",
        ".rs",
        ".java",
        ".kt",
        ".scala",
        ".swift",
        ".c",
        ".h",
        ".cc",
        ".cpp",
        ".hpp",
        ".cxx",
        ".cs",
        ".rb",
        ".php",
        ".lua",
        ".r",
        ".jl",
        ".sh",
        ".bash",
        ".sql",
        ".proto",
        ".css",
        ".toml",
        ".ini",
        ".cfg",
        ".yaml",
        ".yml",
        ".xml",
    ],
    "text/x-code",
)
"""File suffix, in lower case, to media type."""

OFFICE = {"word/document.xml": DOCX, "ppt/presentation.xml": PPTX, "xl/workbook.xml": XLSX}
"""The member that tells an office document from any other zip."""


_OPTIONAL = ("lxml", "openpyxl", "pdfplumber")


def media_type_of(name: str) -> str | None:
    """The media type that `name`'s suffix stands for, or None where no loader reads it."""
    return SUFFIXES.get(PurePath(name).suffix.lower())


def load(data: bytes, name: str, media_type: str | None, limits: IngestLimits) -> Loaded:
    """The document in `data`.

    Raises:
        UnsupportedMedia: No loader reads this kind.
        MediaTooLarge: It is over one of the limits.
        DamagedMedia: It cannot be read as what it says it is, or holds no text.
        MissingExtra: The package that reads this kind is not installed.
    """
    kind = media_type if media_type in LOADERS else media_type_of(name)
    if kind is None:
        known = " ".join(sorted(suffix for suffix, read in SUFFIXES.items() if read != "text/x-code"))
        raise UnsupportedMedia(f"`{name}` is of a kind that is not read; readable are {known} and code")
    if len(data) > limits.bytes:
        raise MediaTooLarge(f"`{name}` has {len(data):,} bytes; the limit is {limits.bytes:,}")
    if not data.strip():
        raise DamagedMedia(f"`{name}` is empty; put text into it, or leave it out")
    module, _, function = LOADERS[kind].partition(":")
    try:
        loader: Loader = getattr(import_module(module), function)
    except ImportError as error:
        if error.name in _OPTIONAL:
            raise MissingExtra(f"reading `{name}`", "documents") from None
        raise
    loaded = loader(data, name, limits)
    if len(loaded.text) > limits.characters:
        raise MediaTooLarge(
            f"`{name}` has {len(loaded.text):,} characters of text; the limit is {limits.characters:,}"
        )
    if not loaded.text.strip():
        raise DamagedMedia(f"`{name}` holds no text; add a version with text, or leave it out")
    return loaded
