// Renders PDF files with pdf.js. The first use of this module loads pdf.js, so previews load it on demand.
//
// The worker is a file of the console, and scripts inside a document are not executed. The content security policy
// permits no WebAssembly, so images in JPEG 2000 and JBIG2 need the slower decoders of pdf.js.
import { GlobalWorkerOptions, type PDFDocumentProxy, TextLayer, getDocument } from "pdfjs-dist";
import workerUrl from "pdfjs-dist/build/pdf.worker.min.mjs?url";

GlobalWorkerOptions.workerSrc = workerUrl;

/** Pixels of the canvas per CSS pixel. A higher value costs memory and looks the same. */
const MAX_DENSITY = 2;

export interface PageSize {
  width: number;
  height: number;
}

export class PdfFile {
  readonly #document: PDFDocumentProxy;

  private constructor(document: PDFDocumentProxy) {
    this.#document = document;
  }

  /** Takes the bytes over: the caller can no longer use them. */
  static async open(data: Uint8Array): Promise<PdfFile> {
    return new PdfFile(await getDocument({ data, isEvalSupported: false, useWasm: false, enableXfa: false, useSystemFonts: true }).promise);
  }

  get pages(): number {
    return this.#document.numPages;
  }

  /** Returns the size of a page, counted from 1, in points. */
  async size(page: number): Promise<PageSize> {
    const { width, height } = (await this.#document.getPage(page)).getViewport({ scale: 1 });
    return { width, height };
  }

  /** Draws a page, and places its text invisibly above the drawing, so that it can be selected and read aloud. */
  async draw(number: number, width: number, canvas: HTMLCanvasElement, text: HTMLElement): Promise<void> {
    const page = await this.#document.getPage(number);
    const scale = width / page.getViewport({ scale: 1 }).width;
    const density = Math.min(MAX_DENSITY, globalThis.devicePixelRatio || 1);
    const viewport = page.getViewport({ scale: scale * density });
    canvas.width = Math.round(viewport.width);
    canvas.height = Math.round(viewport.height);
    await page.render({ canvas, viewport }).promise;
    text.replaceChildren();
    text.style.setProperty("--total-scale-factor", String(scale));
    await new TextLayer({ textContentSource: page.streamTextContent(), container: text, viewport: page.getViewport({ scale }) }).render();
    page.cleanup();
  }

  close(): void {
    void this.#document.loadingTask.destroy();
  }
}
