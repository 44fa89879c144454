// Splits a growing markdown text into blocks, so that finished blocks are parsed and rendered only once.
//
// A block is finished when two more blocks follow it. Until then, later text can change its meaning: a line of dashes
// turns the line above it into a heading.
import { type Token, Lexer } from "marked";

export interface Block {
  at: number;
  token: Token;
}

export class Growing {
  #text = "";
  #finished: Block[] = [];
  #from = 0;
  #links: Lexer["tokens"]["links"] = {};

  /** If the text extends the previous text, finished blocks are the same objects as before. */
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
    // For the last blocks, the lexer may change `token.raw`, so that it differs from the text. Such a block is not
    // finished: the next block's offset depends on `token.raw`.
    while (open.length > 2 && text.startsWith(open[0]!.token.raw, open[0]!.at)) {
      const block = open.shift()!;
      this.#finished.push(block);
      this.#from = block.at + block.token.raw.length;
    }
    return [...this.#finished, ...open];
  }
}

/** Whether a link target cannot run code. */
export function isSafeLink(address: string): boolean {
  return /^(https?:|mailto:|#)/i.test(address.trim());
}
