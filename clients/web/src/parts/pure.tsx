// A component that is drawn again only when one of its properties is another object.
import { Component, type ComponentChild, type FunctionComponent } from "preact";

/** Makes a function into such a component. It may not read signals: their changes would not draw it again. */
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
