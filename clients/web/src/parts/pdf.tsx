// The pages of a PDF file. A page is drawn when it comes into view.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { explainError } from "../errors";
import { readFile } from "../stores/files";
import type { Explained } from "../view/refusal";
import type { PageSize, PdfFile } from "../view/pdf";
import { count, counted } from "../view/format";
import { Note, RefusalNote, Spinner } from "./basic";

/** Maximum number of pages in a preview. */
const MAX_PAGES = 300;

export function PdfView({ sandboxId, path, version }: { sandboxId: string; path: string; version: number }) {
  const file = useSignal<{ pdf: PdfFile; first: PageSize } | null>(null);
  const refused = useSignal<Explained | null>(null);
  const isBroken = useSignal(false);
  useEffect(() => {
    const abort = new AbortController();
    let opened: PdfFile | null = null;
    const open = async () => {
      const [{ PdfFile }, data] = await Promise.all([import("../view/pdf"), readFile(sandboxId, path, abort.signal)]);
      try {
        opened = await PdfFile.open(data);
        const first = await opened.size(1);
        if (abort.signal.aborted) opened.close();
        else file.value = { pdf: opened, first };
      } catch {
        if (!abort.signal.aborted) isBroken.value = true;
      }
    };
    open().catch((error: unknown) => {
      if (!abort.signal.aborted) refused.value = explainError(error);
    });
    return () => {
      abort.abort();
      opened?.close();
      file.value = null;
    };
  }, [sandboxId, path, version]);
  if (refused.value) return <RefusalNote explained={refused.value} />;
  if (isBroken.value) return <Note kind="warning">This PDF is damaged or needs a password. Download it to open it in another program.</Note>;
  if (!file.value) return <Spinner label="Loading the document" />;
  const { pdf, first } = file.value;
  return (
    <>
      <p class="small dim preview-details">
        {counted(pdf.pages, "page")}
        {pdf.pages > MAX_PAGES && ` (showing the first ${count(MAX_PAGES)})`}
      </p>
      <div class="pdf" tabIndex={0} role="group" aria-label="Pages of the document">
        {Array.from({ length: Math.min(pdf.pages, MAX_PAGES) }, (_none, at) => (
          <Page key={at} pdf={pdf} number={at + 1} first={first} />
        ))}
      </div>
    </>
  );
}

function Page({ pdf, number, first }: { pdf: PdfFile; number: number; first: PageSize }) {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const text = useRef<HTMLDivElement>(null);
  // Until a page is drawn, it has the shape of the first page.
  const shape = useSignal(first);
  const isBroken = useSignal(false);
  useEffect(() => {
    const element = place.current!;
    let drawn = 0;
    let isVisible = false;
    let isDrawing = false;
    const draw = async () => {
      const width = element.clientWidth;
      if (!isVisible || isDrawing || width === 0 || Math.abs(width - drawn) < 2) return;
      isDrawing = true;
      try {
        shape.value = await pdf.size(number);
        await pdf.draw(number, width, canvas.current!, text.current!);
        drawn = width;
      } catch {
        // Also the end of the document: its preview was closed while the page was drawn.
        isBroken.value = true;
        drawn = width;
      } finally {
        isDrawing = false;
      }
    };
    const seen = new IntersectionObserver(
      ([entry]) => {
        isVisible = entry?.isIntersecting ?? false;
        void draw();
      },
      { rootMargin: "400px" },
    );
    const resized = new ResizeObserver(() => void draw());
    seen.observe(element);
    resized.observe(element);
    return () => {
      seen.disconnect();
      resized.disconnect();
    };
  }, [pdf, number]);
  return (
    <div ref={place} class="pdf-page" role="group" aria-label={`Page ${number}`} style={{ aspectRatio: `${shape.value.width} / ${shape.value.height}` }}>
      <canvas ref={canvas} aria-hidden="true" />
      <div ref={text} class="pdf-text" />
      {isBroken.value && <p class="small dim pdf-broken">This page could not be drawn.</p>}
    </div>
  );
}
