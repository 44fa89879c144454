#!/usr/bin/env python3
"""Writes the documents that the tests of crates/documents read, and a long PDF. Usage: make.py FOLDER [small|all]"""
import io
import sys
import zipfile
from pathlib import Path

import docx
import nbformat.v4 as nb
import openpyxl
import pptx
import xlwt
from msoffcrypto.format.ooxml import OOXMLFile
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from openpyxl.styles import Font
from PIL import Image
from pypdf import PdfReader, PdfWriter
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)


def pdf(name, pages, lines=3):
    page = canvas.Canvas(str(folder / name), pagesize=A4, invariant=1)
    page.setTitle("Quarterly report")
    for number in range(1, pages + 1):
        page.drawString(72, 780, f"Heading of page {number}")
        for line in range(lines):
            page.drawString(72, 750 - 14 * line, f"Line {line + 1} of page {number}: revenue grew by {number + line} percent.")
        page.showPage()
    page.save()


def scan(name):
    picture = Image.new("L", (200, 280), 255)
    for x in range(20, 180):
        for y in range(40, 240, 20):
            picture.putpixel((x, y), 0)
    page = canvas.Canvas(str(folder / name), pagesize=A4, invariant=1)
    from reportlab.lib.utils import ImageReader

    for _ in range(2):
        page.drawImage(ImageReader(picture), 0, 0, 595, 842)
        page.showPage()
    page.save()


def locked_pdf():
    writer = PdfWriter(clone_from=PdfReader(folder / "report.pdf"))
    writer.encrypt("secret", algorithm="AES-256")
    writer.write(folder / "locked.pdf")


def word():
    document = docx.Document()
    document.core_properties.title = "Plan"
    document.add_heading("Plan for 2027", 1)
    document.add_paragraph("First paragraph with umlauts: äöü.")
    paragraph = document.add_paragraph("one")
    paragraph.add_run().add_break()
    paragraph.add_run("two")
    document.add_paragraph("point", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for row, texts in enumerate([("Name", "Sum"), ("Ann", "12")]):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    document.save(folder / "plan.docx")
    # A check list of equal cells, which compresses so well that it looks like a bomb.
    document = docx.Document()
    table = document.add_table(rows=200, cols=8)
    for row in table.rows:
        for cell in row.cells:
            cell.text = "OK"
    document.save(folder / "checklist.docx")


def slides():
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Results"
    slide.placeholders[1].text = "Growth of 12 %"
    slide.notes_slide.notes_text_frame.text = "Thank the team"
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Table"
    table = slide.shapes.add_table(2, 2, 0, 0, 3000000, 1000000).table
    for row, texts in enumerate([("Year", "Sum"), ("2026", "7")]):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    slide._element.set("show", "0")
    deck.save(folder / "results.pptx")


def workbook():
    import datetime

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Sales"
    sheet.append(["Region", "Share", "Since", "Total"])
    sheet["A1"].font = Font(bold=True)
    sheet.append(["North", 0.125, datetime.date(2024, 2, 29), None])
    sheet["B2"].number_format = "0.0%"
    sheet["D2"] = "=SUM(B2:B2)"
    sheet["F9"] = "far | away"
    hidden = book.create_sheet("Internal")
    hidden.append(["secret plan"])
    hidden.sheet_state = "hidden"
    book.save(folder / "sales.xlsx")
    with (folder / "sales.xlsx").open("rb") as file, (folder / "locked.xlsx").open("wb") as locked:
        OOXMLFile(file).encrypt("secret", locked)
    old = xlwt.Workbook()
    sheet = old.add_sheet("Sales")
    sheet.write(0, 0, "Region")
    sheet.write(0, 1, "Sum")
    sheet.write(1, 0, "North")
    sheet.write(1, 1, 12.5)
    old.save(str(folder / "sales.xls"))
    ods = OpenDocumentSpreadsheet()
    table = Table(name="Sales")
    for texts in [("Region", "Sum"), ("North", 12)]:
        row = TableRow()
        for text in texts:
            number = {"valuetype": "float", "value": text} if isinstance(text, int) else {"valuetype": "string"}
            cell = TableCell(**number)
            cell.addElement(P(text=str(text)))
            row.addElement(cell)
        table.addElement(row)
    ods.spreadsheet.addElement(table)
    ods.save(str(folder / "sales.ods"))


def book():
    chapter = "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>{0}</title></head><body><h1>{0}</h1><p>{1}</p></body></html>"
    with zipfile.ZipFile(folder / "book.epub", "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        archive.writestr(
            "book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">1</dc:identifier><dc:title>A book</dc:title>'
            "<dc:language>en</dc:language></metadata><manifest>"
            '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
            '</manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
        )
        archive.writestr("b.xhtml", chapter.format("Second", "The end."))
        archive.writestr("a.xhtml", chapter.format("First", "The beginning."))


def texts():
    (folder / "people.csv").write_bytes("name;city\nJörg;Köln\n".encode("cp1252"))
    (folder / "letter.rtf").write_bytes(
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}Dear Gr\'fc\'dfe,\par the sum is \u8364?5.\par}"
    )
    (folder / "page.html").write_text(
        "<!doctype html><title>A page</title><h1>Prices</h1><table><tr><th>Item<th>Price</tr><tr><td>Tea<td>3</tr></table>"
        "<script>hidden()</script>"
    )
    cells = [nb.new_markdown_cell("# Study"), nb.new_code_cell("1 + 1", outputs=[nb.new_output("stream", text="2\n")])]
    for number, cell in enumerate(cells):
        cell["id"] = str(number)
    import nbformat

    nbformat.write(nb.new_notebook(cells=cells), folder / "study.ipynb")


pdf("report.pdf", 3)
scan("scan.pdf")
locked_pdf()
word()
slides()
workbook()
book()
texts()
if sys.argv[2:] == ["all"]:
    pdf("long.pdf", 200, 45)
