// Checks the layout rules for every screen: no content is wider than the window, no large blank space follows the
// content, and no element is outside its scrolling container.

import assert from "node:assert/strict";

/** Window sizes in CSS pixels, from large to small. */
export const DESKTOPS = [
  { width: 1440, height: 900 },
  { width: 1100, height: 700 },
  { width: 900, height: 600 },
];
export const PHONES = [
  { width: 768, height: 1024 },
  { width: 390, height: 844 },
  { width: 320, height: 568 },
];

/** Maximum blank space below the last content, in pixels: the page padding and the bottom navigation of a phone. */
const MAX_BLANK = 150;

/** Waits until the page has drawn its current size. A chart gets its width in the next frame. */
export async function drawn(page) {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

export async function checkLayout(page, where) {
  await drawn(page);
  const faults = await page.evaluate(findFaults, MAX_BLANK);
  const { width, height } = page.viewportSize();
  assert.deepEqual(faults, [], `${where} at ${width}×${height}:\n  ${faults.join("\n  ")}`);
}

// This function runs in the browser.
function findFaults(maxBlank) {
  const root = document.documentElement;
  const faults = new Set();
  const name = (element) => [element.localName, ...element.classList].join(".");
  const clips = ({ overflowX, overflowY }) => [overflowX, overflowY].some((value) => ["auto", "scroll", "hidden"].includes(value));

  const wide = root.scrollWidth - root.clientWidth;
  if (wide > 0) {
    faults.add(`the document is ${wide} pixels too wide`);
  }
  // The thread screen fills the window, and only its content scrolls.
  const high = root.scrollHeight - root.clientHeight;
  if (document.querySelector(".thread") && high > 0) {
    faults.add(`the document itself scrolls by ${high} pixels`);
  }

  // An absolutely positioned element follows its containing block. If this block is outside the scrolling container,
  // the element does not scroll with the content, and makes the document too tall.
  for (const element of document.querySelectorAll("body *")) {
    if (!(element instanceof HTMLElement) || getComputedStyle(element).position !== "absolute" || !element.offsetParent) {
      continue;
    }
    for (let above = element.parentElement; above && above !== element.offsetParent; above = above.parentElement) {
      if (clips(getComputedStyle(above))) {
        faults.add(`${name(element)} leaves ${name(above)}, which has no position`);
        break;
      }
    }
  }

  const before = scrollY;
  scrollTo({ top: root.scrollHeight, behavior: "instant" });
  const end = lowestContent(document.body, innerHeight);
  if (scrollY > 0 && innerHeight - end > maxBlank) {
    faults.add(`${Math.round(innerHeight - end)} pixels at the end of the document are blank`);
  }
  scrollTo({ top: before, behavior: "instant" });
  return [...faults];

  /** Returns the bottom edge of the lowest visible text, control or image, in pixels from the top of the window. */
  function lowestContent(element, clip) {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    // Fixed elements, and sticky elements as high as the window, do not mark the end of the document.
    const stays = style.position === "fixed" || (style.position === "sticky" && box.height > innerHeight * 0.9);
    if (stays || style.visibility === "hidden" || style.display === "none") {
      return -Infinity;
    }
    const isContent =
      element.matches("svg, img, input, select, textarea, button") ||
      [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const inner = clips(style) ? Math.min(clip, box.bottom) : clip;
    let end = isContent && box.width > 1 && box.height > 1 ? Math.min(box.bottom, clip) : -Infinity;
    for (const child of element.children) {
      end = Math.max(end, lowestContent(child, inner));
    }
    return end;
  }
}
