// The API reference at /docs, made from the server's own /openapi.json by Swagger UI. Nothing is fetched from elsewhere.
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import "./docs.css";

// The name of an operation is a button; a link inside it would be two things to press in one.
const plainNames = () => ({
  wrapComponents: {
    DeepLink: (_original: unknown, system: { React: { createElement(...parts: unknown[]): unknown } }) =>
      ({ text }: { text: unknown }) => system.React.createElement("span", { className: "nostyle" }, text),
  },
});

SwaggerUI({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: false,
  // The validator of Swagger's own site would be another origin.
  validatorUrl: null,
  withCredentials: false,
  plugins: [plainNames],
  onComplete: () => document.getElementById("servers")?.setAttribute("aria-label", "Server"),
});
