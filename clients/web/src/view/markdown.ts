// Markdown that grows: cuts a text into blocks so that finished blocks are parsed and drawn once.
//
// Only the end of the text is parsed again when more arrives. A block counts as finished when another one has begun after
// it; before that its meaning can still change (a line of dashes makes a heading of what stands above it).
import { type Token, Lexer } from "marked";

/** A block of markdown: its source, where it starts, and what it means. */
export interface Block {
  at: number;
  token: Token;
}

/** A parser that keeps what it has finished. */
export class Growing {
  #text = "";
  #finished: Block[] = [];
  #from = 0;
  #links: Lexer["tokens"]["links"] = {};

  /** The blocks of a text. Cheap when the text begins with the one before; finished blocks are the same objects then. */
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
    // The lexer tidies the end of some blocks; a block whose source is not what stands in the text would shift what follows.
    while (open.length > 2 && text.startsWith(open[0]!.token.raw, open[0]!.at)) {
      const block = open.shift()!;
      this.#finished.push(block);
      this.#from = block.at + block.token.raw.length;
    }
    return [...this.#finished, ...open];
  }
}

/** Whether an address may be a link: nothing that runs code. */
export function isSafeLink(address: string): boolean {
  return /^(https?:|mailto:|#)/i.test(address.trim());
}
