// Shows calls and warnings that are pushed to this browser, and opens where they lead.
self.addEventListener("push", (event) => {
  let told = {};
  try { told = event.data.json(); } catch { /* What cannot be read is shown as a bell without words. */ }
  const { title = "Tocsin", body = "", tag, lang, url = "/console" } = told;
  const options = { body, tag, lang, icon: "/assets/icon.svg", requireInteraction: true, renotify: Boolean(tag), data: { url } };
  event.waitUntil(self.registration.showNotification(title, options));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  // Nothing but pages of this server is opened.
  const { pathname, search, hash } = new URL(event.notification.data.url, self.location.origin);
  event.waitUntil(self.clients.openWindow(pathname + search + hash));
});
