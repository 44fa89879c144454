// Entry point of the console.
import { render } from "preact";
import { App } from "./app";
import { keepRenewing } from "./renewal";
import { followAddress, readAddress } from "./router";
import { resume } from "./session";
import { finishSignIn, takeAnswer } from "./sign_in";
import "./styles/index.css";

// Not a top-level `await`: it would split the code that all screens share into many small files.
const answer = takeAnswer();
void resume().then(() => {
  if (answer) void finishSignIn(answer);
  keepRenewing();
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
