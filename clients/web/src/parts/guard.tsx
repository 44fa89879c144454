// Keeps a mistake in one screen from taking the whole console with it.
import { Component, type ComponentChildren } from "preact";
import { Note } from "./basic";

interface Properties {
  /** Where the person is: somewhere else it is tried again. */
  at: string;
  children: ComponentChildren;
}

/** Shows what is in it, or that it could not be shown. */
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
        <h1>This page could not be shown</h1>
        <Note kind="error">
          Nothing is lost: runs go on, and what they made is kept.{" "}
          <button type="button" class="button button-small" onClick={() => this.setState({ broken: false })}>
            Show it again
          </button>
        </Note>
      </div>
    );
  }
}
