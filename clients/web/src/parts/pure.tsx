// A memoised component, which renders again only if a property has changed (compared with `===`).
import { Component, type ComponentChild, type FunctionComponent } from "preact";

/** The render function must not read signals, because the component ignores their changes. */
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
