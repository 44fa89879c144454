// Lists. `await` on a list returns its first page. Iterating over a list returns all items, page by page.

export interface Page<T> {
  items: T[];
  /** The token that requests the next page; empty on the last page. */
  nextPageToken: string;
}

/** A lazy list: it sends no request until it is awaited or iterated. */
export class Listing<T> implements PromiseLike<Page<T>>, AsyncIterable<T> {
  readonly #load: (pageToken: string | undefined) => Promise<Page<T>>;

  /** `load` fetches a page. The list methods of the client call this constructor. */
  constructor(load: (pageToken: string | undefined) => Promise<Page<T>>) {
    this.#load = load;
  }

  /** Resolves to the first page. If a `pageToken` was passed to the list method, resolves to the page of this token. */
  then<A = Page<T>, B = never>(
    resolved?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    rejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#load(undefined).then(resolved, rejected);
  }

  /**
   * Iterates over all items of the list, page by page. If a `pageToken` was passed, starts at the page of this token.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let pageToken: string | undefined;
    do {
      const page: Page<T> = await this.#load(pageToken);
      yield* page.items;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Returns the items as an array: up to `most` items, by default 10,000. */
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
