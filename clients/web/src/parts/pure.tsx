// A memoised component. It renders again only if a property has changed (compared with `===`).
import { Component, type ComponentChild, type FunctionComponent } from "preact";

/**
 * Wraps a render function. The function must not read signals, because a changed signal would not cause a new
 * rendering.
 */
export function pure<P extends object>(draw: (properties: P) => ComponentChild): FunctionComponent<P> {
  class Pure extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const before = this.props as Record<string, unknown>;
      const after = next as Record<string, unknown>;
      return Object.keys({ ...before, ...after }).some((key) => before[key] !== after[key]);
    }
    override render() {
      return draw(this.props as P);
    }
  }
  return Pure as unknown as FunctionComponent<P>;
}
