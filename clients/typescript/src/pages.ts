// Lists: awaited, a list is its first page; iterated, it is everything in it, page by page.

/** One page of a list. */
export interface Page<T> {
  /** What is on the page. */
  items: T[];
  /** Asks for the next page; empty on the last one. */
  nextPageToken: string;
}

/** A list that is asked for when it is awaited or iterated, and not before. */
export class Listing<T> implements PromiseLike<Page<T>>, AsyncIterable<T> {
  readonly #load: (pageToken: string | undefined) => Promise<Page<T>>;

  /** Made by the methods that list. */
  constructor(load: (pageToken: string | undefined) => Promise<Page<T>>) {
    this.#load = load;
  }

  /** The first page, or the one of the `pageToken` that was given. */
  then<A = Page<T>, B = never>(
    resolved?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    rejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#load(undefined).then(resolved, rejected);
  }

  /** Everything, page by page. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let pageToken: string | undefined;
    do {
      const page: Page<T> = await this.#load(pageToken);
      yield* page.items;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Everything at once, at most `most` (10,000 when it is not said). */
  async all(most = 10_000): Promise<T[]> {
    const items: T[] = [];
    for await (const item of this) {
      if (items.length >= most) {
        break;
      }
      items.push(item);
    }
    return items;
  }
}
