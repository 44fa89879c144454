// Where the console begins.
import { render } from "preact";
import { App } from "./app";
import { followAddress, readAddress } from "./router";
import { resume } from "./session";
import "./styles/index.css";

resume();
readAddress();
followAddress();
// A link with a token may be opened in a page that is already there.
addEventListener("hashchange", () => {
  if (location.hash.includes("token=")) {
    resume();
    readAddress();
  }
});
render(<App />, document.getElementById("console")!);
