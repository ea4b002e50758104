// A quiet word to the person: their subscription was renewed.
function renewed(tag) {
  const { dir, renewed: [title, body] } = words(tag);
  const options = { body, tag: "renewed", lang: tongueOf(tag), dir, silent: true, icon: "/assets/icon-192.png", data: { url: "/app" } };
  return self.registration.showNotification(title, options);
}

// A page has renewed it.
self.addEventListener("message", (event) => {
  if (typeof event.data?.renewed === "string") event.waitUntil(renewed(event.data.renewed));
});

// The browser changed its subscription: the server is told, and the person in a quiet word.
async function renew(event) {
  const own = await recall("browser");
  // An officer's browser is signed up in the console, and knows no word of its own.
  if (!own) return;
  const options = { userVisibleOnly: true, applicationServerKey: keyBytes(own.key) };
  const renew = () => event.newSubscription ?? self.registration.pushManager.subscribe(options);
  if (await move(renew)) await renewed(own.lang);
}

// What fails here is done when a page is opened next.
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event).catch(() => undefined)));
