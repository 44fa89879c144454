// The API reference at /docs, drawn from the server's own /openapi.json. Nothing is fetched from elsewhere.
import { render } from "preact";
import { Reference } from "./reference";
import "../styles/tokens.css";
import "../styles/base.css";
import "../styles/parts.css";
import "../styles/markdown.css";
import "./docs.css";

render(<Reference />, document.getElementById("reference")!);
