// Entry point of the console.
import { render } from "preact";
import { App } from "./app";
import { followAddress, readAddress } from "./router";
import { resume } from "./session";
import "./styles/index.css";

// Not a top-level `await`: it would split the code that all screens share into many small files.
void resume().then(() => {
  readAddress();
  followAddress();
  // Opening a sign-in link in a tab with the console changes only the URL fragment. The page is not loaded again, so
  // the token is read here.
  addEventListener("hashchange", () => {
    if (location.hash.includes("token=")) {
      void resume();
      readAddress();
    }
  });
  render(<App />, document.getElementById("console")!);
});
