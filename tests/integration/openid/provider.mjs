/* A real OpenID provider (oidc-provider) on loopback: node provider.mjs PORT BACK. Whoever types a name is that user; a name's
   groups are what stands behind its plus sign: ana+ops. */
import Provider from "oidc-provider";

const [port, back] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: "tidegate", client_secret: "a secret of a test", redirect_uris: [back], grant_types: ["authorization_code"] }],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email", "email_verified"] },
  cookies: { keys: ["a key of a test"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id.split("+")[0], groups: id.split("+").slice(1) }),
  }),
});
provider.listen(Number(port), "127.0.0.1");
