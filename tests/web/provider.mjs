// An identity provider for the sign-in tests: the certified library `oidc-provider` on loopback, with its own pages.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Provider as Oidc } from "oidc-provider";

/** The API for which the provider issues access tokens (RFC 8707). */
export const API = "https://runyard.example.com";
export const CLIENT = "console";
/** The pages of the library load this font. Tests answer the request themselves, because they have no network. */
export const FONTS = "https://fonts.googleapis.com";

/** The text of the sign-in button. */
export const BUTTON = "Sign in with Example";
/** The settings of the server with which the provider issues JWTs for the API. */
export const SETTINGS = `audience = "${API}"
[auth.sign_in]
client_id = "${CLIENT}"
scopes = ["openid", "offline_access"]
resource = "${API}"
prompt = "consent"
button = "${BUTTON}"
`;

export class Provider {
  /** Lifetime of access tokens and ID tokens in seconds. */
  lifetime = 3600;
  /** Whether pages of the console may read answers of the token endpoint. */
  allowsOrigin = true;
  /** The grant types of the successful and of the refused token requests. */
  granted = [];
  refused = [];
  /** Number of revoked grants. The provider revokes a grant if a refresh token is used twice. */
  revoked = 0;
  #answer = () => {};

  static async start() {
    const provider = new Provider();
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    provider.key = { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), alg: "RS256", use: "sig" };
    provider.http = createServer((request, response) => provider.#answer(request, response));
    await new Promise((resolve) => provider.http.listen(0, "127.0.0.1", resolve));
    provider.url = `http://127.0.0.1:${provider.http.address().port}`;
    provider.register([]);
    return provider;
  }

  /** Registers the console with its addresses, as an administrator of the provider does. Ends all sessions. */
  register(addresses) {
    const oidc = new Oidc(this.url, {
      clients: [
        {
          client_id: CLIENT,
          token_endpoint_auth_method: "none",
          grant_types: ["authorization_code", "refresh_token"],
          redirect_uris: addresses.length > 0 ? addresses : [`${this.url}/none`],
          post_logout_redirect_uris: addresses,
        },
      ],
      jwks: { keys: [this.key] },
      cookies: { keys: [randomUUID()] },
      clientBasedCORS: () => this.allowsOrigin,
      ttl: { IdToken: () => this.lifetime, AccessToken: () => this.lifetime, Interaction: 3600, Session: 3600, Grant: 3600, RefreshToken: 3600 },
      findAccount: (_ctx, login) => ({ accountId: login, claims: () => ({ sub: login }) }),
      features: {
        devInteractions: { enabled: true },
        revocation: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: () => ({ audience: API, scope: "", accessTokenTTL: this.lifetime, accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } }),
        },
      },
    });
    oidc.on("grant.success", (ctx) => this.granted.push(ctx.oidc.params.grant_type));
    oidc.on("grant.error", (ctx) => this.refused.push(ctx.oidc.params.grant_type));
    oidc.on("grant.revoked", () => (this.revoked += 1));
    const callback = oidc.callback();
    this.#answer = callback;
  }

  async close() {
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }
}
