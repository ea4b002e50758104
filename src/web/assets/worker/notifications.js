// Shows what is pushed, says that it was shown, and opens where it leads.

// How a phone shakes, gravest first.
const SHAKES = [[500, 150, 500, 150, 500, 150, 900], [400, 150, 400, 150, 400], [300, 150, 300], [200], [200]];
// Events remembered: what each said last.
const EVENTS = 50;
// Pushes that the offline page may have to tell of.
const TOLD = 30;

// The language of the pages that is meant by a tag: that one, one of the same first part, else English.
const tongueOf = (tag) => {
  const first = (one) => one.toLowerCase().split("-")[0];
  const all = Object.keys(TONGUES);
  return all.find((one) => one.toLowerCase() === tag.toLowerCase()) ?? all.find((one) => first(one) === first(tag)) ?? "en";
};
const words = (tag) => TONGUES[tongueOf(tag)];

// Where a notification leads: nothing but pages of this server is opened.
function page(told) {
  // A drill stands on no public page.
  if (told.event && !told.exercise) return `/events/${encodeURIComponent(told.event)}?lang=${encodeURIComponent(told.lang ?? "zh-CN")}`;
  const { pathname, search, hash } = new URL(told.url ?? "/", self.location.origin);
  return pathname + search + hash;
}

// An update takes the place of what its event said before, and rings again only if the level rose, or if what was said was wrong. What
// comes in two languages rings once.
async function rings(told, rank) {
  if (!told.event) return true;
  let before;
  await change("events", [], (events) => {
    before = events.find((one) => one.event === told.event);
    const rest = events.filter((one) => one.event !== told.event);
    return [{ event: told.event, rank }, ...rest].slice(0, EVENTS);
  });
  if (told.variant === "correction") return true;
  return before === undefined || (told.variant === "warn" && rank < before.rank);
}

async function show(told) {
  const { title = "Tocsin", body = "", tag, lang = "zh-CN", variant, receipt } = told;
  const warns = variant === "warn" && told.event;
  // What ends a warning is less than any warning: the next one of its event rings.
  const rank = warns ? Math.min(told.rank ?? 4, 4) : 9;
  const loud = await rings(told, rank);
  const label = words(lang);
  const actions = warns ? [{ action: "open", title: label.open }, { action: "safe", title: label.safe }] : [];
  const options = {
    body, tag, lang, actions, icon: "/assets/icon-192.png", badge: "/assets/badge.png",
    // A red warning stays until it is seen to; so does a call to an officer.
    requireInteraction: variant === "page" || (warns && rank === 0),
    renotify: loud && Boolean(tag),
    data: { url: page(told), receipt, lang },
    ...(loud ? { vibrate: SHAKES[rank] ?? [200] } : { silent: true }),
  };
  await self.registration.showNotification(title, options);
  if (told.event) await remember(told, options.data.url);
  if (variant === "confirm") await tell({ confirm: options.data.url });
  if (receipt) await report(receipt, "shown");
}

// The offline page is kept current by each push, without asking the server: on a typhoon's day everybody is pushed to at once.
function remember({ event, title, body, variant, level, lang, expires }, url) {
  const one = { event, title, body, variant, level, lang, expires, url, at: Date.now() };
  return change("told", [], (told) => [one, ...told.filter((other) => other.event !== event || other.lang !== lang)].slice(0, TOLD));
}

async function tell(message) {
  for (const client of await self.clients.matchAll({ type: "window", includeUncontrolled: true })) client.postMessage(message);
}

// It is kept before it is said: a worker may be ended at any time. What cannot be said now is said with the next message, when a page is
// opened, or, where the browser can do that, as soon as there is a network.
async function report(receipt, what) {
  await change("unsent", [], (unsent) => [...unsent, { receipt, what }].slice(-UNSENT));
  if (!await say()) await self.registration.sync?.register("unsent").catch(() => undefined);
}

self.addEventListener("sync", (event) => event.waitUntil(say().then((said) => {
  if (!said) throw new Error("later");
})));

self.addEventListener("push", (event) => {
  let told = {};
  try { told = event.data.json(); } catch { /* What cannot be read is shown as a bell without words. */ }
  event.waitUntil(show(told));
});

self.addEventListener("notificationclick", (event) => {
  const { url, receipt } = event.notification.data;
  const safe = event.action === "safe";
  event.notification.close();
  if (receipt) event.waitUntil(report(receipt, safe ? "safe" : "opened"));
  if (!safe) event.waitUntil(self.clients.openWindow(url));
});
