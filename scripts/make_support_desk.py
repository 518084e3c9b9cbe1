"""Make the PDFs and pictures of the reference agent: `python scripts/make_support_desk.py`.

Everything here is invented, drawn with the fonts that reportlab brings, and comes out the same on each run.
The script knows nothing of agents or cases. `TYRE_GUIDE` and `RECALL_NOTICE` are the words of the two PDFs,
for tests to read.
"""

import argparse
import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import reportlab
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph

ROOT = Path(__file__).resolve().parents[1]
KNOWLEDGE = Path("agents/support_desk/knowledge")
PICTURES = Path("evals/support_desk/pictures")
FONTS = Path(reportlab.__file__).parent / "fonts"

TYRE_GUIDE = (
    (
        "Reading the size",
        "The size of a tyre stands on its side wall, for example 47-622. The first number is the width "
        "of the tyre in millimetres. The second number is the diameter of the rim, also in millimetres. "
        "A new tyre must have the same second number as the old one. The width may differ by 5 "
        "millimetres if the frame has room for it.",
    ),
    (
        "Pressure for 28-622",
        "A tyre of the size 28-622 needs a pressure of 6.0 bar. This is the narrow tyre of our road and "
        "fitness bikes. Riders of more than 90 kilograms add half a bar.",
    ),
    (
        "Pressure for 47-622",
        "A tyre of the size 47-622 needs a pressure of 3.5 bar. This is the tyre of our trekking bikes "
        "and of most e-bikes. With heavy bags the rear tyre takes 4.0 bar.",
    ),
    (
        "Pressure for 57-584",
        "A tyre of the size 57-584 needs a pressure of 2.2 bar. This is the wide tyre of our mountain "
        "bikes. On wet roots and loose ground a little less gives a better grip.",
    ),
    (
        "How often to check",
        "Check the pressure every 3 weeks, because each inner tube loses some air. Narrow tyres lose it "
        "faster than wide ones. A floor pump with a gauge costs little and saves many punctures.",
    ),
    (
        "When a tyre is worn out",
        "Replace a tyre when the coloured layer under the tread shows, when the side wall has cracks, "
        "or when the tyre is older than 6 years. The rear tyre wears about twice as fast as the front "
        "tyre. We take old tyres back for recycling.",
    ),
    (
        "Tubeless tyres",
        "A tubeless tyre has no inner tube and is sealed with a white milk. Refill the sealing milk "
        "every 4 months with 60 millilitres for each wheel. Shake the bottle well before you fill it "
        "in, and turn the wheel slowly afterwards.",
    ),
    (
        "Studded tyres for winter",
        "Studded tyres give a hold on ice. Ride the first 40 kilometres on dry asphalt and without hard "
        "braking, so that the studs settle. Studded tyres are allowed on public roads from November to "
        "April.",
    ),
    (
        "Valves",
        "We sell inner tubes with three valves. The car valve fits each pump at a filling station. The "
        "French valve is thin and has a small nut, which you open before you pump. The Dunlop valve "
        "fits most simple hand pumps.",
    ),
    (
        "Carrying a repair kit",
        "For a tour we recommend two tyre levers, a spare inner tube, six patches and a small pump. The "
        "kit in the shop contains all of this and costs 27 euros. It fits under the saddle.",
    ),
)

RECALL_NOTICE = (
    (
        "Safety recall",
        "E-bike batteries of the series KX24. Fernhill, 9 February 2026.",
    ),
    (
        "Which batteries are affected",
        "A battery is affected by the recall if its serial number begins with KX24. A battery whose "
        "serial number begins with KX25 is not affected by the recall, and you can go on using it. The "
        "serial number stands on the label on the underside.",
    ),
    (
        "Why we recall them",
        "In some batteries of the series KX24 a cell can overheat while it is being charged.",
    ),
    (
        "What you must do",
        "Stop using a KX24 battery at once and do not charge it again. Keep it in a dry place outside "
        "the house. Bring it to our workshop. Do not send it by post.",
    ),
    (
        "What you get",
        "We replace each KX24 battery free of charge within 3 weeks. You get a loan battery on the same day.",
    ),
    (
        "Questions",
        "Call the recall line on 0555 0177, on weekdays from 8:00 to 17:00. The recall is open until 31 "
        "December 2027.",
    ),
)


def tyre_guide() -> bytes:
    """The two-column guide with a text layer and headings."""
    out, width, height = BytesIO(), *A4
    margin, gap = 50.0, 24.0
    column = (width - 2 * margin - gap) / 2
    frames = [Frame(margin + i * (column + gap), margin, column, height - 2 * margin - 40) for i in (0, 1)]
    document = BaseDocTemplate(out, pagesize=A4, invariant=1, title="Tyre guide", author="Fernhill Cycles")
    document.addPageTemplates(PageTemplate(frames=frames, onPage=_title))
    head = ParagraphStyle(
        "head", fontName="Helvetica-Bold", fontSize=14, leading=18, spaceBefore=12, spaceAfter=4
    )
    body = ParagraphStyle("body", fontName="Helvetica", fontSize=11, leading=15)
    story = [part for h, text in TYRE_GUIDE for part in (Paragraph(h, head), Paragraph(text, body))]
    document.build(story)
    return out.getvalue()


def _title(canvas: Canvas, document: BaseDocTemplate) -> None:
    canvas.setFont("Helvetica-Bold", 22)
    canvas.drawString(56, A4[1] - 66, "Tyre guide")
    canvas.setFont("Helvetica", 9)
    canvas.drawRightString(A4[0] - 56, 34, f"Fernhill Cycles, page {document.page}")


def recall_page() -> Image.Image:
    """The signed recall notice as a scanner at 200 dpi sees it: grey, noisy and slightly rotated."""
    page = Image.new("L", (1654, 2339), 250)
    draw = ImageDraw.Draw(page)
    draw.text((170, 150), "Fernhill Cycles", font=font(44, bold=True), fill=25)
    draw.line((170, 222, 1484, 222), fill=60, width=4)
    y = 270
    for index, (heading, text) in enumerate(RECALL_NOTICE):
        size = 52 if index == 0 else 38
        draw.text((170, y), heading, font=font(size, bold=True), fill=25)
        y += int(size * 1.55)
        for line in wrap(text, font(33), 1314):
            draw.text((170, y), line, font=font(33), fill=35)
            y += 50
        y += 34
    draw.text((170, y + 150), "Marta Lindqvist, head of the workshop", font=font(33), fill=35)
    curve = [(190 + 6 * i, y + 80 + (37 * i * i % 71) - 35) for i in range(60)]
    draw.line(curve, fill=70, width=5, joint="curve")
    page = page.rotate(0.9, resample=Image.Resampling.BICUBIC, fillcolor=244)
    noise = Image.frombytes("L", (827, 1170), random.Random(24).randbytes(827 * 1170)).resize(page.size)
    return Image.blend(page, noise, 0.07).filter(ImageFilter.GaussianBlur(0.6))


def recall_notice() -> bytes:
    """The scanned page as a PDF that holds only the picture."""
    jpeg, out = BytesIO(), BytesIO()
    recall_page().save(jpeg, "JPEG", quality=55, dpi=(200, 200))
    canvas = Canvas(out, pagesize=A4, invariant=1)
    canvas.drawImage(ImageReader(jpeg), 0, 0, *A4)
    canvas.save()
    return out.getvalue()


def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """A font that reportlab brings, `size` in pixels."""
    return ImageFont.truetype(str(FONTS / ("VeraBd.ttf" if bold else "Vera.ttf")), size)


def wrap(text: str, face: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break `text` into lines of at most `width` pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if face.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def receipt(date: str, number: str, items: dict[str, str], total: str, note: str) -> Image.Image:
    """A till receipt on a table, photographed at an angle."""
    paper = Image.new("RGB", (640, 860), (252, 251, 246))
    draw = ImageDraw.Draw(paper)
    for y, text in ((40, "FERNHILL CYCLES"), (92, "14 Millrace Lane")):
        draw.text(
            (320, y), text, font=font(34 if y == 40 else 26, bold=y == 40), fill=(30, 30, 30), anchor="ma"
        )
    draw.text((50, 170), f"Receipt {number}", font=font(28), fill=(30, 30, 30))
    draw.text((50, 216), f"Date {date}", font=font(28), fill=(30, 30, 30))
    draw.line((50, 275, 590, 275), fill=(90, 90, 90), width=2)
    y = 305
    for name, price in items.items():
        draw.text((50, y), name, font=font(28), fill=(30, 30, 30))
        draw.text((590, y), price, font=font(28), fill=(30, 30, 30), anchor="ra")
        y += 56
    draw.line((50, y + 10, 590, y + 10), fill=(90, 90, 90), width=2)
    draw.text((50, y + 36), "TOTAL EUR", font=font(34, bold=True), fill=(20, 20, 20))
    draw.text((590, y + 36), total, font=font(34, bold=True), fill=(20, 20, 20), anchor="ra")
    draw.text((50, y + 104), "Paid by bank card", font=font(26), fill=(30, 30, 30))
    draw.text((320, y + 190), note, font=font(32, bold=True), fill=(20, 20, 20), anchor="ma")
    table = Image.new("RGB", (860, 1060), (139, 110, 82))
    mask = Image.new("L", paper.size, 255).rotate(-4, expand=True, resample=Image.Resampling.BICUBIC)
    turned = paper.rotate(-4, expand=True, resample=Image.Resampling.BICUBIC)
    table.paste(turned, ((860 - turned.width) // 2, (1060 - turned.height) // 2), mask)
    return table


def display(code: str, charge: str) -> Image.Image:
    """The screen of an e-bike display that shows an error code."""
    screen = Image.new("RGB", (800, 600), (18, 22, 28))
    draw = ImageDraw.Draw(screen)
    draw.text((40, 36), "ECO", font=font(44, bold=True), fill=(120, 220, 130))
    draw.text((760, 36), f"Battery {charge}", font=font(40), fill=(230, 230, 230), anchor="ra")
    draw.line((40, 110, 760, 110), fill=(80, 90, 100), width=3)
    draw.text((400, 170), "ERROR", font=font(64, bold=True), fill=(255, 110, 90), anchor="ma")
    draw.text((400, 260), code, font=font(150, bold=True), fill=(255, 110, 90), anchor="ma")
    draw.text((400, 500), "0.0 km/h", font=font(48), fill=(230, 230, 230), anchor="ma")
    return screen


def tyre(name: str, size: str, inches: str) -> Image.Image:
    """The paper label of a new tyre."""
    label = Image.new("RGB", (900, 560), (245, 244, 238))
    draw = ImageDraw.Draw(label)
    draw.rectangle((0, 0, 900, 120), fill=(30, 60, 110))
    draw.text((450, 30), f"ROVELLO {name}", font=font(52, bold=True), fill=(255, 255, 255), anchor="ma")
    draw.text((450, 180), "Tyre size", font=font(40), fill=(40, 40, 40), anchor="ma")
    draw.text((450, 240), size, font=font(120, bold=True), fill=(20, 20, 20), anchor="ma")
    draw.text((450, 420), inches, font=font(48), fill=(40, 40, 40), anchor="ma")
    return label


def chart(year: str, values: dict[str, int]) -> Image.Image:
    """A bar chart of rentals a month, one bar a row, with the values printed."""
    sheet = Image.new("RGB", (1000, 780), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    draw.text(
        (500, 30),
        f"Rentals a month, Harbour station, {year}",
        font=font(36, bold=True),
        fill=(20, 20, 20),
        anchor="ma",
    )
    for row, (month, value) in enumerate(values.items()):
        y = 120 + row * 90
        draw.text((40, y + 8), month, font=font(34), fill=(20, 20, 20))
        draw.rectangle((260, y, 260 + value * 1.3, y + 56), fill=(60, 130, 170))
        draw.text((280 + value * 1.3, y + 8), str(value), font=font(34, bold=True), fill=(20, 20, 20))
    return sheet


def parcel(carrier: str, order: str, name: str, street: str, content: str) -> Image.Image:
    """The delivery label on a box."""
    label = Image.new("RGB", (900, 700), (255, 255, 255))
    draw = ImageDraw.Draw(label)
    draw.rectangle((10, 10, 890, 690), outline=(20, 20, 20), width=5)
    draw.text((50, 40), carrier, font=font(64, bold=True), fill=(20, 20, 20))
    draw.line((10, 140, 890, 140), fill=(20, 20, 20), width=4)
    rows = ("From: Fernhill Cycles", f"To: {name}", street, f"Order: {order}", f"Content: {content}")
    for row, text in enumerate(rows):
        draw.text((50, 175 + row * 66), text, font=font(40), fill=(20, 20, 20))
    bars = random.Random(order)
    x = 50
    while x < 820:
        width = bars.choice((4, 6, 10))
        draw.rectangle((x, 530, x + width, 650), fill=(20, 20, 20))
        x += width + bars.choice((5, 8, 12))
    return label


def battery(serial: str, made: str) -> Image.Image:
    """The label on the underside of an e-bike battery."""
    label = Image.new("RGB", (900, 560), (214, 216, 218))
    draw = ImageDraw.Draw(label)
    draw.rectangle((15, 15, 885, 545), outline=(40, 40, 40), width=4)
    draw.text((50, 45), "KX Power 500", font=font(60, bold=True), fill=(20, 20, 20))
    draw.text((50, 140), "E-bike battery  36 V  500 Wh", font=font(40), fill=(20, 20, 20))
    draw.text((50, 240), "Serial number", font=font(40), fill=(20, 20, 20))
    draw.text((50, 300), serial, font=font(76, bold=True), fill=(20, 20, 20))
    draw.text((50, 440), f"Made {made}", font=font(40), fill=(20, 20, 20))
    return label


MONTHS = ("April", "May", "June", "July", "August", "September", "October")

DRAWINGS: dict[str, Callable[[], Image.Image]] = {
    "receipt-helmet.png": lambda: receipt(
        "04 May 2026", "20417", {"Helmet Aspen M": "64.90", "Bottle cage": "9.50"}, "74.40", "Thank you!"
    ),
    "receipt-outlet.png": lambda: receipt(
        "11 May 2026",
        "20588",
        {"Rain jacket Moor L": "79.00", "Gloves Moor L": "18.50"},
        "97.50",
        "FINAL SALE",
    ),
    "display-e21.png": lambda: display("E21", "64 %"),
    "display-e07.png": lambda: display("E07", "82 %"),
    "tyre-trekking.png": lambda: tyre("City Guard", "47-622", "28 x 1.75 inch"),
    "tyre-road.png": lambda: tyre("Swift", "28-622", "700 x 28C"),
    "chart-2025.png": lambda: chart(
        "2025", dict(zip(MONTHS, (142, 231, 318, 407, 362, 246, 118), strict=True))
    ),
    "chart-2024.png": lambda: chart(
        "2024", dict(zip(MONTHS, (127, 205, 286, 374, 339, 221, 104), strict=True))
    ),
    "parcel-heron.png": lambda: parcel(
        "HERON FREIGHT", "FC-1047", "J. Okafor", "8 Orchard Row", "1 bicycle, 24 kg"
    ),
    "parcel-postline.png": lambda: parcel(
        "POSTLINE", "FC-1044", "M. Duarte", "31 Mill Road", "1 parcel, 2 kg"
    ),
    "battery-kx24.png": lambda: battery("KX24-03817", "November 2024"),
    "battery-kx25.png": lambda: battery("KX25-11264", "March 2025"),
}


def make(root: Path) -> list[Path]:
    """Write all files below `root` and return their paths."""
    (root / KNOWLEDGE).mkdir(parents=True, exist_ok=True)
    (root / PICTURES).mkdir(parents=True, exist_ok=True)
    written = [root / KNOWLEDGE / "tyre-guide.pdf", root / KNOWLEDGE / "battery-recall.pdf"]
    for path, content in zip(written, (tyre_guide(), recall_notice()), strict=True):
        path.write_bytes(content)
    for name, draw in DRAWINGS.items():
        written.append(root / PICTURES / name)
        draw().save(written[-1], "PNG", optimize=True)
    return written


def main() -> None:
    """Make the files below the folder that is given, by default the project."""
    parser = argparse.ArgumentParser(description="Make the PDFs and pictures of the support desk.")
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="the folder to write below")
    for path in make(parser.parse_args().root):
        print(f"{path}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
