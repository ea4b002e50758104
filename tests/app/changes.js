// What the worker does when the browser has changed its subscription, and what it knows of itself then, as a line of JSON.
const { own, given, refused } = JSON.parse(broken.pop());
if (refused) answer = { ok: false, status: refused, text: async () => "" };
(async () => {
  const state = await open("tocsin-state");
  if (own) await state.put("/state/browser", new Response(JSON.stringify({ ...own, subscription: "old" })));
  await happens("pushsubscriptionchange", { newSubscription: given && subscribed(given, null) });
  const known = await (await state.match("/state/browser"))?.json();
  console.log(JSON.stringify([...did, { known: known?.subscription ?? null }]));
})();
