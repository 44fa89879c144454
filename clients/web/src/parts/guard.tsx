// An error boundary: an exception in one screen does not break the others.
import { Component, type ComponentChildren } from "preact";
import { Note } from "./basic";

interface Properties {
  /** The current screen. A change clears the error. */
  at: string;
  children: ComponentChildren;
}

export class Guard extends Component<Properties, { broken: boolean }> {
  override state = { broken: false };

  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ broken: true });
  }

  override componentDidUpdate(before: Properties): void {
    if (this.state.broken && before.at !== this.props.at) this.setState({ broken: false });
  }

  override render({ children }: Properties) {
    if (!this.state.broken) return children;
    return (
      <div class="page">
        <h1>This page cannot be shown</h1>
        <Note kind="error">
          An error occurred in the console. Your runs continue and your files are safe.{" "}
          <button type="button" class="button button-small" onClick={() => this.setState({ broken: false })}>
            Try again
          </button>
        </Note>
      </div>
    );
  }
}
