// The messages of a shared thread.

interface Part {
  role: string;
  partial: boolean;
}

/** Leaves out each partial answer that another answer follows: the model was called again, and repeated it. */
export function withoutRepeated<M extends Part>(messages: readonly M[]): M[] {
  return messages.filter((message, at) => !(message.partial && messages[at + 1]?.role === message.role));
}
