// Passkeys: a question from the server, the authenticator's answer, and what the server says to it.

const from64 = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
const to64 = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

async function post(path, fields) {
  const answer = await fetch(path, { method: 'POST', body: new URLSearchParams(fields), redirect: 'error' });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

const listed = (keys) => (keys ?? []).map((key) => ({ ...key, id: from64(key.id) }));

export async function get({ publicKey }) {
  const options = { ...publicKey, challenge: from64(publicKey.challenge), allowCredentials: listed(publicKey.allowCredentials) };
  delete options.extensions;
  const { id, rawId, type, response } = await navigator.credentials.get({ publicKey: options });
  const parts = ['authenticatorData', 'clientDataJSON', 'signature', 'userHandle'].filter((part) => response[part]);
  return { id, rawId: to64(rawId), type, extensions: {}, response: Object.fromEntries(parts.map((part) => [part, to64(response[part])])) };
}

async function create({ publicKey }) {
  const options = {
    ...publicKey,
    challenge: from64(publicKey.challenge),
    user: { ...publicKey.user, id: from64(publicKey.user.id) },
    excludeCredentials: listed(publicKey.excludeCredentials),
    // Found again at sign-in without a name.
    authenticatorSelection: { ...publicKey.authenticatorSelection, residentKey: 'required', requireResidentKey: true },
  };
  const { id, rawId, type, response } = await navigator.credentials.create({ publicKey: options });
  const { attestationObject, clientDataJSON } = response;
  return {
    id, rawId: to64(rawId), type, extensions: {},
    response: { attestationObject: to64(attestationObject), clientDataJSON: to64(clientDataJSON), transports: response.getTransports?.() ?? [] },
  };
}

const acts = {
  async 'sign-in'(button) {
    const { ticket, options } = await post('/passkeys/sign-in', {});
    const answer = JSON.stringify(await get(options));
    location.assign((await post('/passkeys/signed-in', { ticket, answer, next: button.dataset.next })).next);
  },
  async prove(button) {
    const form = button.form;
    const csrf = form.elements.csrf.value;
    const { ticket, options } = await post('/passkeys/prove', { csrf });
    await post('/passkeys/proved', { csrf, ticket, answer: JSON.stringify(await get(options)) });
    // From here on no code is asked for.
    form.elements.code?.closest('label').remove();
    button.textContent = '✓';
    button.disabled = true;
  },
  async register(button) {
    const { csrf, code, name } = button.form.elements;
    const { ticket, options } = await post('/passkeys/register', { csrf: csrf.value, code: code?.value ?? '' });
    const answer = JSON.stringify(await create(options));
    location.assign((await post('/passkeys/registered', { csrf: csrf.value, ticket, answer, name: name.value })).next);
  },
};

if (window.PublicKeyCredential) {
  for (const button of document.querySelectorAll('[data-passkey]')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      const told = button.closest('form, section').querySelector('[data-passkey-error]');
      told.hidden = true;
      try {
        await acts[button.dataset.passkey](button);
      } catch (error) {
        console.warn(error);
        told.hidden = false;
      }
    });
  }
}
