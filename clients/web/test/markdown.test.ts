// Tests of incremental markdown. Every split of a text must give the same blocks, and finished blocks must stay the
// same objects.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, Growing, isSafeLink } from "../src/view/markdown";

const TEXT = `# Report

Some *text* with \`code\` and a [link](https://example.org).
Title by its underline
---

- one
- two

  of two paragraphs
- three

1. first
2. second

| a | b |
| - | -: |
| 1 | 2 |

\`\`\`python
print("- no list")

# no heading
\`\`\`

> quoted

<script>alert(1)</script>

The end.
`;

function shape(blocks: readonly Block[]) {
  return blocks.map(({ at, token }) => [at, token.type, token.raw]);
}

test("a text that arrives in parts gives the same blocks as the whole text", () => {
  const whole = shape(new Growing().blocks(TEXT));
  for (const pace of [1, 3, 7, 40]) {
    const growing = new Growing();
    for (let end = pace; end < TEXT.length; end += pace) growing.blocks(TEXT.slice(0, end));
    assert.deepEqual(shape(growing.blocks(TEXT)), whole, `${pace} characters at a time`);
  }
});

test("after every character the blocks cover the text so far", () => {
  const growing = new Growing();
  for (let end = 1; end <= TEXT.length; end += 1) {
    const blocks = growing.blocks(TEXT.slice(0, end));
    // The lexer changes the source of the last block: "- " becomes an empty item with a newline.
    const finished = blocks.slice(0, -1).map(({ token }) => token.raw).join("");
    assert.equal(finished, TEXT.slice(0, finished.length));
    assert.equal(blocks.at(-1)?.at, finished.length);
    assert.ok(blocks.at(-1)!.token.raw.length >= end - finished.length);
  }
});

test("finished blocks stay the same objects", () => {
  const growing = new Growing();
  const before = growing.blocks(TEXT.slice(0, 200));
  const after = growing.blocks(TEXT);
  assert.ok(before.length > 5);
  for (const block of before.slice(0, -2)) assert.ok(after.includes(block));
});

test("a different text starts over", () => {
  const growing = new Growing();
  growing.blocks(TEXT);
  assert.deepEqual(shape(growing.blocks("Another.")), shape(new Growing().blocks("Another.")));
});

test("CRLF line ends are normalised", () => {
  const text = "one\r\n\r\ntwo\r\n\r\nthree\r\n\r\nfour";
  const growing = new Growing();
  for (let end = 1; end <= text.length; end += 1) growing.blocks(text.slice(0, end));
  assert.deepEqual(growing.blocks(text).map(({ token }) => token.raw).join(""), text.replaceAll("\r\n", "\n"));
});

test("only http, https and mailto addresses are safe links", () => {
  for (const good of ["https://example.org", "http://example.org/a", "mailto:a@example.org"]) assert.ok(isSafeLink(good), good);
  for (const bad of ["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "/relative"]) {
    assert.ok(!isSafeLink(bad), bad);
  }
});
