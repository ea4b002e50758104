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

// What this browser has now takes the place of what the server knows; the person hears of it in a quiet word. `take` gives it, and is given
// the way to a new one.
async function renew(take) {
  const own = await recall("browser");
  // An officer's browser is signed up in the console, and knows no word of its own.
  if (!own) return;
  const options = { userVisibleOnly: true, applicationServerKey: keyBytes(own.key) };
  const anew = () => self.registration.pushManager.subscribe(options);
  if (await move(() => take(anew))) await renewed(own.lang);
}

// The browser changed its subscription. What fails here is done when a page is opened next.
self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil(renew((anew) => event.newSubscription ?? anew()).catch(() => undefined));
});

// With each push, for who opens no page for long: a subscription that is to end soon is renewed while it still works. Nothing is asked of
// the server otherwise.
self.addEventListener("push", (event) => {
  const unlessThereIsTime = async (anew) => {
    const current = await self.registration.pushManager.getSubscription();
    if (!lapsesSoon(current)) return undefined;
    await current.unsubscribe();
    return anew();
  };
  event.waitUntil(renew(unlessThereIsTime).catch(() => undefined));
});
