// What this browser keeps between visits: small texts in a cache of their own, which outlives versions of the program. They never leave
// this device. Used by the service worker and by pages.
const STATE = "tocsin-state";
const at = (name) => `/state/${name}`;

async function recall(name, otherwise) {
  const kept = await (await caches.open(STATE)).match(at(name));
  return kept ? kept.json().catch(() => otherwise) : otherwise;
}

async function keep(name, value) {
  const cache = await caches.open(STATE);
  if (value === undefined) await cache.delete(at(name));
  else await cache.put(at(name), new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } }));
}

// Two pushes at once must not forget one another.
const change = (name, otherwise, how) =>
  navigator.locks.request(at(name), async () => keep(name, how(await recall(name, otherwise))));

// A network that takes and gives nothing holds up nobody for long.
const post = (path, fields) =>
  fetch(path, {
    method: "POST", body: new URLSearchParams(fields), credentials: "same-origin", keepalive: true, signal: AbortSignal.timeout(10_000),
  });

// Reports that could not be made yet.
const UNSENT = 50;

// Makes the reports that are kept, one at a time; true if none is left.
const say = () => navigator.locks.request(at("say"), async () => {
  let all = true;
  for (const one of await recall("unsent", [])) {
    const answer = await post("/app/receipt", one).catch(() => undefined);
    if (!answer) return false;
    // The server is busy: it is tried again. What it refuses is over.
    if (answer.status === 429 || answer.status >= 500) all = false;
    else await change("unsent", [], (unsent) => unsent.filter((other) => other.receipt !== one.receipt || other.what !== one.what));
  }
  return all;
});

// Before a subscription lapses a new one takes its place.
const SOON = 7 * 86_400_000;
const lapsesSoon = (subscription) => Boolean(subscription?.expirationTime) && subscription.expirationTime - Date.now() < SOON;

// The server's own word that this browser is nobody's any more. What stands between, a proxy or a hotel's network, refuses too.
const disowned = async (answer) => answer.status === 403 && (await answer.text()).includes("T6203");

const keyBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

// A new subscription takes the place of the one that the server knows; true if it did. `renew` gives what the browser has now. It gets
// what sign-up left here: the word that lets this browser speak for itself, the subscription that the server knows, and the server's key.
// One at a time: the worker and a page may find out at once, and the second would speak for a subscription that is nobody's any more.
const move = (renew) => navigator.locks.request(at("move"), async () => {
  const own = await recall("browser");
  const subscription = own && await renew(own);
  const next = JSON.stringify(subscription);
  if (!subscription || next === own.subscription) return false;
  const answer = await post("/app/subscription", { word: own.word, old: own.subscription, new: next });
  if (answer.ok) await keep("browser", { ...own, subscription: next });
  // Gone for good: it left, or was removed elsewhere.
  else if (await disowned(answer)) await keep("browser", undefined);
  return answer.ok;
});
