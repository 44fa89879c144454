// Renders untrusted markdown. HTML is shown as text. Only http, https and mailto links are clickable. Images on other
// servers are not fetched.
import type { MarkedToken, Token, Tokens } from "marked";
import type { ComponentChild } from "preact";
import { useRef } from "preact/hooks";
import { type Block, Growing, isSafeLink } from "../view/markdown";
import { ColouredText } from "./coloured";
import { CopyButton } from "./copy";
import { pure } from "./pure";

/** The text may grow between two renderings while a model streams it. */
export function Markdown({ text, picture }: { text: string; picture?: (path: string) => ComponentChild }) {
  const growing = useRef<Growing | null>(null);
  growing.current ??= new Growing();
  const blocks = growing.current.blocks(text);
  return (
    <div class="markdown">
      {blocks.map((block) => (
        <DrawnBlock key={block.at} block={block} picture={picture} />
      ))}
    </div>
  );
}

type Picture = ((path: string) => ComponentChild) | undefined;

const DrawnBlock = pure(({ block, picture }: { block: Block; picture: Picture }) => drawBlock(block.token, picture));

function drawBlocks(tokens: readonly Token[] | undefined, picture: Picture): ComponentChild[] {
  return (tokens ?? []).map((token) => drawBlock(token, picture));
}

function drawBlock(some: Token, picture: Picture): ComponentChild {
  const token = some as MarkedToken;
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading": {
      // h1 and h2 belong to the page, so headings in the text start at h3.
      const Level = `h${Math.min(6, token.depth + 2)}` as "h3";
      return <Level class={`depth-${token.depth}`}>{drawInline(token.tokens, picture)}</Level>;
    }
    case "paragraph":
      return <p>{drawInline(token.tokens, picture)}</p>;
    case "code":
      return <CodeBlock text={token.text} language={token.lang} />;
    case "blockquote":
      return <blockquote>{drawBlocks(token.tokens, picture)}</blockquote>;
    case "hr":
      return <hr />;
    case "list":
      return drawList(token, picture);
    case "table":
      return drawTable(token, picture);
    case "html":
      return <p class="raw">{token.text}</p>;
    case "text":
      return token.tokens ? <>{drawInline(token.tokens, picture)}</> : token.text;
    default:
      return "raw" in some ? <p>{some.raw}</p> : null;
  }
}

function drawList(token: Tokens.List, picture: Picture): ComponentChild {
  const items = token.items.map((item, at) => (
    <li key={at} class={item.task ? "task" : undefined}>
      {item.task && <span class="task-box" role="img" aria-label={item.checked ? "Done:" : "To do:"} data-done={item.checked} />}
      {drawBlocks(
        item.tokens.filter((part) => part.type !== "checkbox"),
        picture,
      )}
    </li>
  ));
  return token.ordered ? <ol start={Number(token.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function drawTable(token: Tokens.Table, picture: Picture): ComponentChild {
  const side = (at: number) => (token.align[at] === "right" ? "right" : token.align[at] === "center" ? "center" : undefined);
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
      <table>
        <thead>
          <tr>
            {token.header.map((cell, at) => (
              <th key={at} class={side(at)}>
                {drawInline(cell.tokens, picture)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {token.rows.map((row, line) => (
            <tr key={line}>
              {row.map((cell, at) => (
                <td key={at} class={side(at)}>
                  {drawInline(cell.tokens, picture)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function drawInline(tokens: readonly Token[] | undefined, picture: Picture): ComponentChild[] {
  return (tokens ?? []).map((some) => {
    const token = some as MarkedToken;
    switch (token.type) {
      case "text":
        return token.tokens ? <>{drawInline(token.tokens, picture)}</> : plain(token.text);
      case "escape":
        return plain(token.text);
      case "strong":
        return <strong>{drawInline(token.tokens, picture)}</strong>;
      case "em":
        return <em>{drawInline(token.tokens, picture)}</em>;
      case "del":
        return <del>{drawInline(token.tokens, picture)}</del>;
      case "codespan":
        return <code>{plain(token.text)}</code>;
      case "br":
        return <br />;
      case "link":
        return drawLink(token, picture);
      case "image":
        return picture?.(token.href) ?? <span class="picture-name">{token.text || token.href}</span>;
      default:
        return "raw" in some ? some.raw : null;
    }
  });
}

function drawLink(token: Tokens.Link, picture: Picture): ComponentChild {
  if (!isSafeLink(token.href) || token.href.startsWith("#")) return <span>{drawInline(token.tokens, picture)}</span>;
  return (
    <a href={token.href} target="_blank" rel="noopener noreferrer nofollow">
      {drawInline(token.tokens, picture)}
    </a>
  );
}

function CodeBlock({ text, language }: { text: string; language: string | undefined }) {
  return (
    <div class="code-block">
      <div class="code-head">
        <span>{language?.split(/\s/)[0] || "text"}</span>
        <CopyButton text={text} what="this code" />
      </div>
      <pre tabIndex={0}>
        <code>
          <ColouredText text={text} language={language?.split(/[\s,{]/)[0]?.toLowerCase() ?? ""} />
        </code>
      </pre>
    </div>
  );
}

// The lexer does not decode HTML entities.
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", "#39": "'" };
/**
 * Maximum characters per text node. The browser lays out a changed text node completely, so a streamed text is split
 * into short nodes. Only the last node changes.
 */
const NODE = 2_000;

function plain(text: string): ComponentChild {
  const whole = text.replace(/&(amp|lt|gt|quot|apos|nbsp|#39);/g, (all, name: string) => ENTITIES[name] ?? all);
  if (whole.length <= NODE) return whole;
  const parts: string[] = [];
  for (let at = 0; at < whole.length; ) {
    let end = at + NODE;
    // Do not split a surrogate pair.
    if (/[\ud800-\udbff]/.test(whole[end - 1] ?? "")) end += 1;
    parts.push(whole.slice(at, end));
    at = end;
  }
  return parts;
}
