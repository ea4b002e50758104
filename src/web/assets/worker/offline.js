// Without the network a public page is answered with what was in force when last seen. Kept: these few files, and nothing that is
// anybody's own.
const CACHE = `tocsin-${VERSION}`;
const FILES = ["/assets/public.css", "/assets/offline.js", "/assets/icon.svg", "/assets/icon-192.png"];
const offlinePage = (tag) => `/offline?lang=${tag}`;
const PAGES = Object.keys(TONGUES).map(offlinePage);
// Pages that stay the browser's own affair.
const OTHERS = /^\/(console|exercise|api|sign-in|invitation|me|leave)(\/|$)/;
// A visitor who reads on asks once a minute.
const MINUTE = 60_000;
let asked = 0;

const fresh = (path) => new Request(path, { cache: "no-cache" });

// The language of this browser's reader.
async function readersTag() {
  return (await recall("browser"))?.lang ?? self.navigator.language ?? "zh-CN";
}

// The reader's own page and the English one, or nothing is as it was just seen. Of the others one that fails is held by no other, and
// not kept either: it would look as new as those.
async function fetchPages() {
  const cache = await caches.open(CACHE);
  const needed = [...new Set([tongueOf(await readersTag()), "en"])].map(offlinePage);
  await cache.addAll(needed.map(fresh));
  const others = PAGES.filter((page) => !needed.includes(page));
  await Promise.all(others.map((page) => cache.add(fresh(page)).catch(() => cache.delete(page))));
  await keep("seen", Date.now());
}

async function install() {
  await (await caches.open(CACHE)).addAll(FILES.map(fresh));
  await fetchPages();
  await self.skipWaiting();
}

async function activate() {
  const old = (await caches.keys()).filter((name) => name.startsWith("tocsin-") && name !== CACHE && name !== STATE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

function refresh() {
  if (Date.now() - asked < MINUTE) return undefined;
  asked = Date.now();
  return fetchPages().catch(() => { asked = 0; });
}

async function offline(url) {
  const own = await readersTag();
  const cache = await caches.open(CACHE);
  for (const lang of [url.searchParams.get("lang") ?? own, own, "en"]) {
    const page = await cache.match(offlinePage(tongueOf(lang)));
    if (page) return page;
  }
  return Response.error();
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (FILES.includes(url.pathname)) {
    event.respondWith(fetch(request).catch(async () => (await caches.match(url.pathname)) ?? Response.error()));
  } else if (request.mode === "navigate" && !OTHERS.test(url.pathname)) {
    const answer = fetch(request);
    event.respondWith(answer.catch(() => offline(url)));
    event.waitUntil(answer.then(refresh, () => undefined));
  }
});
