// The worker's own text, in a world whose network fails at the pages that `broken` names.
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
    match: async (request) => kept.get(key(request)),
    put: async (request, answer) => { kept.set(key(request), answer); },
    delete: async (request) => kept.delete(key(request)),
  };
};
const listeners = {};
const self = {
  addEventListener: (kind, listener) => { listeners[kind] = listener; },
  skipWaiting: async () => {}, navigator: { language: tongue }, location: { origin: "https://x" },
};
const caches = { open };
class Request { constructor(url) { this.url = url; } }
const Response = globalThis.Response;
const world = { self, caches, Request, Response, navigator: { locks: { request: (_, what) => what() }, language: tongue } };
new Function(...Object.keys(world), source)(...Object.values(world));
let installed;
listeners.install({ waitUntil: (work) => { installed = work; } });
const pages = () => [...(stores.get("tocsin-t") ?? new Map()).keys()].filter((url) => url.startsWith("/offline")).map((url) => url.split("=")[1]);
installed.then(() => console.log(pages().sort().join(" ")), () => console.log("not installed"));
