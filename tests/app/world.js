// The worker's own text, in a world made for it: its network fails at the pages that `broken` names; what it shows, subscribes to and says to
// the server is written down.
const [source, tongue, ...broken] = process.argv.slice(1);
const stores = new Map();
const get = async (request) => {
  if (broken.includes(request.url)) throw new TypeError("Failed to fetch");
  return { of: request.url };
};
const open = async (name) => {
  if (!stores.has(name)) stores.set(name, new Map());
  const kept = stores.get(name);
  const key = (request) => request.url ?? request;
  return {
    addAll: async (all) => {
      if (new Set(all.map(key)).size < all.length) throw new Error("InvalidStateError");
      const got = await Promise.all(all.map(get));
      all.forEach((request, n) => kept.set(key(request), got[n]));
    },
    async add(request) { await this.addAll([request]); },
    match: async (request) => kept.get(key(request))?.clone?.() ?? kept.get(key(request)),
    put: async (request, answer) => { kept.set(key(request), answer); },
    delete: async (request) => kept.delete(key(request)),
  };
};
const listeners = {};
// What it did, in order.
const did = [];
let subscription;
const subscribed = (endpoint, expirationTime) => ({
  endpoint, expirationTime, toJSON: () => ({ endpoint, keys: {} }),
  unsubscribe: async () => { did.push({ unsubscribed: endpoint }); subscription = null; return true; },
});
const registration = {
  showNotification: async (title, options) => { did.push({ title, ...options }); },
  pushManager: {
    getSubscription: async () => subscription,
    subscribe: async ({ userVisibleOnly }) => {
      did.push({ subscribed: "new", userVisibleOnly });
      subscription = subscribed("new", null);
      return subscription;
    },
  },
};
const self = {
  addEventListener: (kind, listener) => { (listeners[kind] ??= []).push(listener); },
  skipWaiting: async () => {}, navigator: { language: tongue }, location: { origin: "https://x" },
  registration, clients: { matchAll: async () => [] },
};
const caches = { open };
// What the server answers.
let answer = { ok: true, status: 204, text: async () => "" };
const fetch = async (path, { body }) => {
  did.push({ posted: path, ...Object.fromEntries(body) });
  return answer;
};
// One after the other, as the browser's own locks.
const queues = new Map();
const request = (name, what) => {
  const turn = (queues.get(name) ?? Promise.resolve()).then(what);
  queues.set(name, turn.catch(() => undefined));
  return turn;
};
class Request { constructor(url) { this.url = url; } }
const Response = globalThis.Response;
const world = { self, caches, Request, Response, fetch, navigator: { locks: { request }, language: tongue } };
new Function(...Object.keys(world), source)(...Object.values(world));
// All listeners of an event, and what they wait for.
const happens = (kind, event) => {
  const work = [];
  listeners[kind].forEach((listener) => listener({ ...event, waitUntil: (one) => { work.push(one); } }));
  return Promise.all(work);
};
