// A real OpenID provider (npm oidc-provider) on loopback for tests, able to misbehave when told to.
//
// Here: its clients, people and claims, all set by the test through POST /_control, and the ways it misbehaves. Not here:
// what Cohortium should answer (tests/auth/test_oidc.py). Prints one JSON line with its address and ends when its input does.

import { createServer } from "node:http";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import Provider from "oidc-provider";

const state = { account: "subject-1", acr: undefined, claims: {}, misbehave: "", asked: 0 };
const clients = new Map();
const delivered = [];

const key = generateKeyPairSync("rsa", { modulusLength: 2048 });
const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
const jwk = { ...key.privateKey.export({ format: "jwk" }), kid: "test-key", use: "sig", alg: "RS256" };

// Where the provider keeps what it knows: in memory, and clients as the test registered them.
class Memory {
  static stores = new Map();
  static grants = new Map();

  constructor(name) {
    this.name = name;
    if (!Memory.stores.has(name)) Memory.stores.set(name, new Map());
    this.rows = Memory.stores.get(name);
  }

  async upsert(id, payload) {
    this.rows.set(id, payload);
    if (payload.grantId) Memory.grants.set(payload.grantId, [...(Memory.grants.get(payload.grantId) ?? []), [this.rows, id]]);
  }

  async find(id) {
    return this.name === "Client" ? clients.get(id) : this.rows.get(id);
  }

  async findByUid(uid) {
    return [...this.rows.values()].find((row) => row.uid === uid);
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    this.rows.get(id).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.rows.delete(id);
  }

  async revokeByGrantId(grantId) {
    for (const [rows, id] of Memory.grants.get(grantId) ?? []) rows.delete(id);
  }
}

const NAMES = [
  "acr", "id_assurance_level", "authentication_assurance_level", "selected_roleid", "oid", "tid", "idassurancelevel",
  "nhsid_nrbac_roles", "nhsid_useruid", "uid", "name", "email",
];

const server = createServer();
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  adapter: Memory,
  clients: [],
  jwks: { keys: [jwk] },
  claims: { openid: ["sub", ...NAMES] },
  scopes: ["openid", "profile", "email", "nhsperson", "nationalrbacaccess", "selectedrole", "associatedorgs"],
  conformIdTokenClaims: false,
  acrValues: ["low", "high", "AAL2_ANY", "AAL3_ANY"],
  pkce: { required: () => true },
  enabledJWA: { clientAuthSigningAlgValues: ["RS256", "RS384", "RS512", "ES384"] },
  features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
  findAccount: (_ctx, sub) => ({ accountId: sub, claims: async () => ({ ...state.claims, sub }) }),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope([...ctx.oidc.requestParamScopes].join(" "));
    grant.addOIDCClaims(NAMES);
    await grant.save();
    return grant;
  },
  fetch: async (url, options) => {
    delivered.push({ url: String(url), body: String(options.body) });
    return new Response(null, { status: 200 });
  },
});

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const parts = (token) => token.split(".").slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));

function signed(header, claims, by = key) {
  const text = `${base64(header)}.${base64(claims)}`;
  return `${text}.${sign("sha256", Buffer.from(text), by.privateKey).toString("base64url")}`;
}

// What a dishonest or broken provider, or someone between, could send in place of the ID token.
const forgeries = {
  "wrong-audience": (header, claims) => signed(header, { ...claims, aud: "other", azp: claims.aud }),
  "two-audiences": (header, claims) => signed(header, { ...claims, aud: [claims.aud, "other"], azp: claims.aud }),
  "wrong-party": (header, claims) => signed(header, { ...claims, azp: "other" }),
  "wrong-issuer": (header, claims) => signed(header, { ...claims, iss: "http://127.0.0.1:1" }),
  "alg-none": (header, claims) => `${base64({ ...header, alg: "none" })}.${base64(claims)}.`,
  "hs256-public-key": (header, claims) => {
    const text = `${base64({ ...header, alg: "HS256" })}.${base64(claims)}`;
    const secret = key.publicKey.export({ type: "spki", format: "pem" });
    return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
  },
  "hs256-client-secret": (header, claims) => {
    const text = `${base64({ ...header, alg: "HS256" })}.${base64(claims)}`;
    return `${text}.${createHmac("sha256", clients.get(claims.aud).client_secret).update(text).digest("base64url")}`;
  },
  "missing-nonce": (header, { nonce, ...claims }) => signed(header, claims),
  "other-nonce": (header, claims) => signed(header, { ...claims, nonce: "other" }),
  "unknown-key": (header, claims) => signed({ ...header, kid: "unknown" }, claims, stranger),
  "known-kid-other-key": (header, claims) => signed(header, claims, stranger),
  "own-key-in-header": (header, claims) =>
    signed({ ...header, kid: "mine", jwk: stranger.publicKey.export({ format: "jwk" }) }, claims, stranger),
  expired: (header, claims) => signed(header, { ...claims, exp: claims.iat - 3600, iat: claims.iat - 7200 }),
  "from-tomorrow": (header, claims) => signed(header, { ...claims, iat: claims.iat + 86400, exp: claims.exp + 86400 }),
  "never-expires": (header, { exp, ...claims }) => signed(header, claims),
  "no-subject": (header, { sub, ...claims }) => signed(header, claims),
};

provider.use(async (ctx, next) => {
  if (ctx.path === "/jwks") state.asked += 1;
  await next();
  const route = ctx.oidc?.route;
  if (route === "token" && ctx.body?.id_token && forgeries[state.misbehave]) {
    ctx.body.id_token = forgeries[state.misbehave](...parts(ctx.body.id_token));
  }
  if (route === "userinfo" && state.misbehave === "other-subject") ctx.body.sub = "someone-else";
  const target = ctx.response.get("location") ?? "";
  if (target.includes("code=")) {
    const address = new URL(target);
    if (state.misbehave === "wrong-response-issuer") address.searchParams.set("iss", "http://127.0.0.1:1");
    if (state.misbehave === "no-response-issuer") address.searchParams.delete("iss");
    if (state.misbehave === "other-state") address.searchParams.set("state", "other");
    ctx.response.set("location", address.href);
  }
});

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString() || "{}");
}

// A logout token as the provider itself makes it; `misbehave` names a forgery of it.
async function logoutToken({ client, sub, sid, misbehave }) {
  const found = await provider.Client.find(client);
  delivered.length = 0;
  await found.backchannelLogout(sub, sid);
  const token = new URLSearchParams(delivered[0].body).get("logout_token");
  const [header, claims] = parts(token);
  const changed = {
    nonce: () => signed(header, { ...claims, nonce: "n" }),
    "no-event": () => signed(header, { ...claims, events: {} }),
    "no-id": () => signed(header, (({ jti, ...rest }) => rest)(claims)),
    "nobody": () => signed(header, (({ sub, sid, ...rest }) => rest)(claims)),
    "other-audience": () => signed(header, { ...claims, aud: "other" }),
    "alg-none": () => `${base64({ ...header, alg: "none" })}.${base64(claims)}.`,
    stranger: () => signed(header, claims, stranger),
  };
  return misbehave ? changed[misbehave]() : token;
}

provider.on("server_error", (_ctx, error) => process.stderr.write(`${error.stack}\n`));
const answer = provider.callback();
server.on("request", async (request, response) => {
  const json = (value) => response.setHeader("content-type", "application/json").end(JSON.stringify(value));
  if (request.url === "/_control") {
    const { client, ...rest } = await read(request);
    if (client) clients.set(client.client_id, client);
    Object.assign(state, rest);
    json({ asked: state.asked });
  } else if (request.url === "/_logout_token") {
    json({ logout_token: await logoutToken(await read(request)) });
  } else if (request.url.startsWith("/interaction/")) {
    const login = { accountId: state.account, acr: state.acr, remember: false };
    await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  } else {
    await answer(request, response);
  }
});
// The parent ends it by closing its input, so that nothing stays behind whatever stands between.
process.stdin.resume().on("end", () => process.exit(0));
process.stdout.write(`${JSON.stringify({ issuer })}\n`);
