// An OpenID Connect provider of one's own: npm's `oidc-provider`, which is certified. Anybody signs in as anybody.
import { pathToFileURL } from 'node:url';

const [library, port, redirect, secret] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(library));
const client = (client_id) => ({ client_id, client_secret: secret, redirect_uris: [redirect] });
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client('tocsin'), client('another')],
  cookies: { keys: [secret] },
  pkce: { required: () => true },
});
provider.listen(Number(port), '127.0.0.1');
