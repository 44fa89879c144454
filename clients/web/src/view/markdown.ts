// Incremental markdown: splits a growing text into blocks, so that finished blocks are parsed and rendered once.
//
// When text arrives, only the unfinished blocks at the end are parsed again. A block is finished when two more blocks
// follow it. Until then, later text can change the meaning of the block: a line of dashes turns the line above it into
// a heading.
import { type Token, Lexer } from "marked";

/** A block of markdown: the offset of its source and its parsed token. */
export interface Block {
  at: number;
  token: Token;
}

/** A parser that keeps finished blocks between calls. */
export class Growing {
  #text = "";
  #finished: Block[] = [];
  #from = 0;
  #links: Lexer["tokens"]["links"] = {};

  /**
   * Parses a text. If the text extends the previous text, the finished blocks are reused: they are the same objects.
   */
  blocks(source: string): readonly Block[] {
    const text = source.includes("\r") ? source.replace(/\r\n?/g, "\n") : source;
    if (!text.startsWith(this.#text)) {
      this.#finished = [];
      this.#from = 0;
      this.#links = {};
    }
    this.#text = text;
    const lexer = new Lexer({ gfm: true });
    lexer.tokens.links = this.#links;
    const tokens = lexer.lex(text.slice(this.#from));
    this.#links = lexer.tokens.links;
    let at = this.#from;
    const open: Block[] = [];
    for (const token of tokens) {
      open.push({ at, token });
      at += token.raw.length;
    }
    // For the last blocks of a text, `token.raw` may differ from the input. A block is finished only if the input
    // contains `token.raw` at the block's offset, because the offsets of the following blocks depend on it.
    while (open.length > 2 && text.startsWith(open[0]!.token.raw, open[0]!.at)) {
      const block = open.shift()!;
      this.#finished.push(block);
      this.#from = block.at + block.token.raw.length;
    }
    return [...this.#finished, ...open];
  }
}

/** Whether an address is a safe link target: http, https, mailto or a fragment, never a scheme that runs code. */
export function isSafeLink(address: string): boolean {
  return /^(https?:|mailto:|#)/i.test(address.trim());
}
