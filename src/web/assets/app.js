// What the installed app adds to pages that work without it: warnings to this browser, and what is in force when there is no network.
const { lang } = document.documentElement;
const MONTH = 25 * 86_400_000;
const able = "serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis;

if ("serviceWorker" in navigator) await navigator.serviceWorker.register("/sw.js").catch(() => undefined);

const subscribe = async (key) => (await import("/assets/subscribe.js")).subscribe(key);
const subscription = async () => (await navigator.serviceWorker.ready).pushManager.getSubscription();

// --- A button that gives this browser as an address -----------------------------------------------------------------
for (const row of able ? document.querySelectorAll("[data-push]") : []) {
  row.hidden = false;
  const [button, told, form] = [row.querySelector("button"), row.querySelector("output"), row.closest("form")];
  // Whoever types an address after all means that one.
  form.elements.address?.addEventListener("input", ({ target }) => {
    form.elements.subscription.value = told.textContent = "";
    target.required = true;
  });
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      form.elements.subscription.value = JSON.stringify(await subscribe(row.dataset.push));
      if ("sends" in row.dataset) { form.submit(); return; }
      form.elements.address.required = false;
      form.elements.address.value = "";
      told.textContent = `✓ ${row.dataset.told}`;
    } catch {
      told.textContent = row.dataset.not;
    }
    button.disabled = false;
  });
}

// --- The push that proves it has come --------------------------------------------------------------------------------
const waits = document.querySelector("[data-confirm]");
if (waits && able) {
  navigator.serviceWorker.addEventListener("message", ({ data }) => {
    if (!data?.confirm) return;
    const { pathname, search } = new URL(data.confirm, location.origin);
    waits.querySelector("a").href = pathname + search;
    waits.hidden = false;
    waits.querySelector("a").focus();
  });
}

// --- This browser, for its signed-in owner: the word that lets it speak for itself ----------------------------------------
const mine = document.querySelector("[data-mine]");
if (mine && able) {
  const current = await subscription();
  const fields = { csrf: mine.querySelector("[name=csrf]").value, lang, subscription: JSON.stringify(current) };
  // Without a network the page goes on with what it has.
  const { word } = current ? await post("/me/browser", fields).then((answer) => answer.json()).catch(() => ({})) : {};
  if (word) {
    mine.querySelector("[data-push]")?.setAttribute("hidden", "");
    mine.querySelector("[data-on]").hidden = false;
    await keep("browser", { word, subscription: fields.subscription, key: mine.dataset.mine, lang, alive: Date.now() });
    await post("/app/alive", { word }).catch(() => undefined);
  }
}

// --- Each visit: what the worker could not do is done now -------------------------------------------------------------
const app = document.querySelector("[data-app]");

// A new subscription where there is none, where it lapses soon, or where it is of no use any more.
async function anew(useless) {
  const renew = async ({ key }) => {
    const current = await subscription();
    if (Notification.permission !== "granted" || (current && !lapsesSoon(current) && !useless)) return current;
    await current?.unsubscribe();
    return subscribe(key);
  };
  const own = await recall("browser");
  if (own && await move(renew)) (await navigator.serviceWorker.ready).active.postMessage({ renewed: own.lang });
}

async function visit() {
  await say();
  await anew(false);
  const own = await recall("browser");
  // The app's own page says whether this browser is told: it asks each time.
  if (!own || (!app && Date.now() - (own.alive ?? 0) < MONTH)) return;
  const answer = await post("/app/alive", { word: own.word });
  if (answer.ok) await keep("browser", { ...await recall("browser"), alive: Date.now() });
  // Its push service does not know it any more: with a new subscription it lives again.
  else if (answer.status === 410 && (await answer.text()).includes("T6206")) await anew(true);
  // It is nobody's any more. The subscription stays: an officer may be called by it.
  else if (await disowned(answer)) await keep("browser", undefined);
}
if (able) await visit().catch(() => undefined);

// --- The app's own page --------------------------------------------------------------------------------------------------
async function draw() {
  const own = await recall("browser");
  const on = own && Notification.permission === "granted" && await subscription();
  app.querySelector("[data-yes]").hidden = !on;
  app.querySelector("[data-no]").hidden = Boolean(on);
  app.hidden = false;
}
if (app && able) {
  await draw();
  app.querySelector("[data-leave]").addEventListener("click", async ({ target }) => {
    target.disabled = true;
    const own = await recall("browser");
    const answer = await post("/app/leave", { word: own.word }).catch(() => undefined);
    if (answer?.ok) {
      await (await subscription())?.unsubscribe();
      await keep("browser", undefined);
      await draw();
    }
    app.querySelector("[data-left]").textContent = answer?.ok ? app.dataset.left : app.dataset.failed;
    target.disabled = false;
  });
}
