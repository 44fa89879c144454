// Lists. `await` returns the first page; iteration returns all items.

/** The items of a page, as the server sent them. */
interface Loaded<T> {
  items: T[];
  /** Requests the next page; empty on the last page. */
  nextPageToken: string;
}

/** One page of a list. Iteration returns the items of the page. */
export interface Page<T> extends Loaded<T>, Iterable<T> {}

/** The iterator is not enumerable, so that two pages with the same items are equal. */
function pageOf<T>(loaded: Loaded<T>): Page<T> {
  const iterator = { value: () => loaded.items[Symbol.iterator]() };
  return Object.defineProperty({ ...loaded }, Symbol.iterator, iterator) as Page<T>;
}

/** A list that sends no request until it is awaited or iterated. */
export class Listing<T> implements PromiseLike<Page<T>>, AsyncIterable<T> {
  readonly #load: (pageToken: string | undefined) => Promise<Loaded<T>>;

  constructor(load: (pageToken: string | undefined) => Promise<Loaded<T>>) {
    this.#load = load;
  }

  /** Resolves to the first page, or to the page of the given `pageToken`. */
  then<A = Page<T>, B = never>(
    resolved?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    rejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#load(undefined).then(pageOf).then(resolved, rejected);
  }

  /** Iterates over all items from the first page, or from the page of the given `pageToken`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let pageToken: string | undefined;
    do {
      const page: Loaded<T> = await this.#load(pageToken);
      yield* page.items;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Returns up to `most` items. */
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
