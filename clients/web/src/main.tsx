// Entry point of the console.
import { render } from "preact";
import { App } from "./app";
import { followAddress, readAddress } from "./router";
import { resume } from "./session";
import "./styles/index.css";

resume();
readAddress();
followAddress();
// If the user opens a sign-in link in a tab that already shows the console, only the URL fragment changes. The browser
// does not load the page again, so the token is read here.
addEventListener("hashchange", () => {
  if (location.hash.includes("token=")) {
    resume();
    readAddress();
  }
});
render(<App />, document.getElementById("console")!);
