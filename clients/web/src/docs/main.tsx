// Entry point of the API reference at /docs, which renders the server's /openapi.json.
import { render } from "preact";
import { Reference } from "./reference";
import "../styles/tokens.css";
import "../styles/base.css";
import "../styles/parts.css";
import "../styles/markdown.css";
import "./docs.css";

render(<Reference />, document.getElementById("reference")!);
