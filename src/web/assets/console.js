// The console's script. Every page works without it; it adds live numbers, keys, and the word before the session ends.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const language = document.documentElement.lang;
// Beijing's clocks, wherever the browser stands.
const hour = (time) => new Date(time).toLocaleTimeString(language, { timeZone: "Asia/Shanghai", hour12: false });
// What a page asks for by itself does not keep a session alive.
const BY_ITSELF = { "x-by-itself": "1" };

// --- A page that renews itself lets go whoever is just leaving it: a reload would take back a click or a form on its way ----
let leaving = -Infinity;
window.addEventListener("beforeunload", () => { leaving = performance.now(); });
const renew = (busy = () => false) => {
  if (performance.now() - leaving < 10_000) setTimeout(renew, 1_000, busy);
  else if (!busy()) location.reload();
};

// --- A page that answers a refused form stands where its alert does: renewing it sends nothing again ------------------
const place = $("[data-at]")?.dataset.at;
if (place && place !== location.pathname) history.replaceState(null, "", place);

// --- A grave act cannot be double-clicked -------------------------------------------------------------------------
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (form.matches("[data-once], .grave")) {
    form.dataset.sent = "1";
    setTimeout(() => $$("button", form).forEach((button) => { button.disabled = true; }));
  }
});
window.addEventListener("pageshow", () => $$("form[data-sent]").forEach((form) => {
  delete form.dataset.sent;
  $$("button", form).forEach((button) => { button.disabled = false; });
}));

// --- Keys -----------------------------------------------------------------------------------------------------------
const typing = (target) => target.closest("input, textarea, select, [contenteditable]");
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const links = $$(".cards .card h2 a, table tbody a");
  const at = links.indexOf(document.activeElement);
  const focus = (element) => { if (element) { element.focus(); element.scrollIntoView({ block: "nearest" }); event.preventDefault(); } };
  if (event.key === "j") focus(links[Math.min(at + 1, links.length - 1)]);
  else if (event.key === "k") focus(links[Math.max(at - 1, 0)]);
  else if (event.key === "a") focus($('[data-key="a"]'));
  else if (event.key === "r") {
    const details = $('details[data-key="r"]');
    if (details) { details.open = true; focus($("textarea", details)); }
  } else if (event.key === "?") $("#help")?.showModal();
});

// --- The session's end can be answered ------------------------------------------------------------------------------
const idle = $("#idle");
let until = Number(document.body.dataset.until);
if (idle && until > 0) {
  setInterval(() => {
    const left = until - Date.now();
    if (left <= 0) renew();
    else if (left < 120_000 && !idle.open) { $("time", idle).textContent = hour(until); idle.showModal(); }
  }, 5_000);
  $("form", idle).addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (!answer.ok) { renew(); return; }
    until = Number(await answer.text());
    idle.close();
  });
}

// --- Time left --------------------------------------------------------------------------------------------------------
const UNITS = [["second", 1, 120], ["minute", 60, 7_200], ["hour", 3_600, 172_800], ["day", 86_400, Infinity]];
const span = (seconds) => {
  const [unit, size] = UNITS.find(([, , below]) => seconds < below);
  const style = { style: "unit", unit, unitDisplay: "short" };
  return new Intl.NumberFormat(language, style).format(Math.floor(seconds / size)).replace(/(\d)(?=\p{L})/u, "$1 ");
};
setInterval(() => {
  const now = Date.now();
  $$("meter[data-due]").forEach((meter) => {
    const { from, due } = meter.dataset;
    meter.value = Math.max(0, Math.min(100, ((due - now) / (due - from)) * 100));
  });
  $$("[data-left]").forEach((text) => {
    const { left, words } = text.dataset;
    text.textContent = words.replace("{}", span(Math.max(0, (left - now) / 1_000)));
  });
  $$("[data-ago]").forEach((text) => {
    const { ago, past, future } = text.dataset;
    text.textContent = (ago > now ? future : past).replace("{}", span(Math.abs(ago - now) / 1_000));
  });
}, 1_000);

// --- What is told as it happens. The browser takes the line up again by itself, in the background too ------------------
const offline = $("#offline");
const listen = (url, told) => {
  let source = null;
  const open = () => {
    source = new EventSource(url);
    source.onopen = () => { offline.hidden = true; };
    source.onerror = () => {
      if (offline.hidden) { $("time", offline).textContent = hour(Date.now()); offline.hidden = false; }
      // The browser tries again after a break, but not after an answer that is none: the session may be over.
      if (source.readyState === EventSource.CLOSED) setTimeout(look, 3_000);
    };
    source.onmessage = (event) => told(JSON.parse(event.data));
  };
  const look = async () => {
    const answer = await fetch(location.pathname, { headers: BY_ITSELF, redirect: "manual" }).catch(() => null);
    if (answer?.type === "opaqueredirect") renew();
    else open();
  };
  open();
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) open(); });
};

// A call that nobody has answered turns every page red, whatever the officer is at.
const unanswered = $("#unanswered");
const alarm = ({ unanswered: calls }) => {
  const link = $("a", unanswered);
  const text = unanswered.dataset.words.replace("{}", calls);
  if (link.textContent !== text) link.textContent = text;
  unanswered.hidden = calls === 0;
};

const beep = () => {
  const audio = new AudioContext();
  [0, 0.35, 0.7].forEach((at) => {
    const tone = audio.createOscillator();
    const loud = audio.createGain();
    tone.frequency.value = 880;
    loud.gain.value = 0.2;
    tone.connect(loud).connect(audio.destination);
    tone.start(audio.currentTime + at);
    tone.stop(audio.currentTime + at + 0.2);
  });
};

const queue = $("#queue");
if (queue) {
  const sound = $("#sound");
  sound.hidden = false;
  const pressed = () => sound.setAttribute("aria-pressed", String(localStorage.sound === "on"));
  pressed();
  sound.addEventListener("click", () => {
    localStorage.sound = localStorage.sound === "on" ? "off" : "on";
    pressed();
    if (localStorage.sound === "on") beep();
  });
  const title = document.title.replace(/^\(\d+\) /, "");
  let digest = "";
  let red = -1;
  const refresh = async () => {
    const answer = await fetch(queue.dataset.part, { headers: BY_ITSELF }).catch(() => null);
    if (!answer) return false;
    if (answer.redirected || !answer.ok) { renew(); return false; }
    // Where the reader was stays in focus, and what was in view stays there.
    const link = document.activeElement?.closest("#queue a");
    const nth = link && $$("a", link.closest(".card")).indexOf(link);
    const held = link?.getAttribute("href");
    queue.innerHTML = await answer.text();
    const own = Number($("[data-own]", queue).dataset.own);
    const waiting = $("#waiting");
    const count = waiting.dataset.words.replace("{}", own);
    if (waiting.textContent !== count) waiting.textContent = count;
    document.title = own > 0 ? `(${own}) ${title}` : title;
    if (held) $$(`#queue a[href="${CSS.escape(held)}"]`).at(nth)?.focus({ preventScroll: true });
    return true;
  };
  listen(queue.dataset.events, async (told) => {
    alarm(told);
    if (red >= 0 && told.newest_red > red && localStorage.sound === "on") beep();
    red = Math.max(red, told.newest_red);
    if (digest !== told.digest && await refresh()) digest = told.digest;
  });
}

const number = new Intl.NumberFormat(language);
const live = $(".live[data-events]");
if (live) {
  // What was done when, of the last ten seconds and the moment before them: what a rate is made of.
  const samples = [];
  const pace = () => {
    const now = performance.now();
    while (samples.length > 1 && now - samples[1].at > 10_000) samples.shift();
    const [first, newest] = [samples[0], samples.at(-1)];
    if (!newest) return;
    const since = Math.max(1, now - first.at) / 1_000;
    const rate = (name) => ((newest.done[name] ?? 0) - (first.done[name] ?? 0)) / since;
    const show = (text, value) => { text.textContent = value === "" ? "" : text.dataset.words.replace("{}", value); };
    show($("[data-rate]", live), number.format(Math.round(Object.keys(newest.done).reduce((sum, name) => sum + rate(name), 0))));
    $$("[data-of]", live).forEach((lamp) => {
      const [name, open] = [lamp.dataset.of, newest.open[lamp.dataset.of] ?? 0];
      $("[data-open]", lamp).textContent = number.format(open);
      $("[data-accepted]", lamp).textContent = number.format(newest.accepted[name] ?? 0);
      show($("[data-pace]", lamp), open > 0 ? number.format(Math.round(rate(name) * 10) / 10) : "");
      show($("[data-time]", lamp), open > 0 && rate(name) > 0 ? span(open / rate(name)) : "");
    });
  };
  setInterval(pace, 1_000);
  listen(live.dataset.events, (told) => {
    alarm(told);
    const sample = { at: performance.now(), done: {}, open: {}, accepted: {} };
    const rows = $$("tr[data-channel]", live);
    if (Object.keys(told.channels).some((name) => !rows.some((row) => row.dataset.channel === name))) { renew(); return; }
    rows.forEach((row) => {
      const counts = told.channels[row.dataset.channel];
      if (!counts) return;
      const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
      const open = counts.waiting + counts.sending;
      sample.done[row.dataset.channel] = total - open;
      sample.open[row.dataset.channel] = open;
      sample.accepted[row.dataset.channel] = counts.accepted;
      const bar = $("[data-progress]", row);
      bar.max = total || 1;
      bar.value = total - open;
      $("[data-total]", row).textContent = number.format(total);
      $$("[data-state]", row).forEach((cell) => { cell.textContent = number.format(counts[cell.dataset.state] ?? 0); });
    });
    samples.push(sample);
    live.shares = told.shares;
    document.dispatchEvent(new CustomEvent("told"));
    pace();
    $("[data-held]", live).hidden = !told.held;
    $$("[data-lamp]", live).forEach((lamp) => {
      const now = told.lamps[lamp.dataset.lamp];
      if (!now) return;
      lamp.classList.toggle("down", !now.up);
      $("[data-reason]", lamp).textContent = language.startsWith("zh") ? now.zh : now.en;
    });
  });
} else {
  const open = $("article[data-events]");
  if (open) {
    let before = "";
    // Somebody else's decision shows at once; what is being typed is not lost.
    listen(open.dataset.events, (told) => {
      alarm(told);
      const now = JSON.stringify([told.state, told.parts]);
      const busy = () => $$("details[open] form", open).length > 0 || typing(document.activeElement ?? document.body);
      if (before && before !== now) renew(busy);
      before = now;
    });
  }
}

// A page has one line only, because browsers hold few to one place.
if (unanswered && !queue && !$("[data-events]:not(#unanswered)")) listen(unanswered.dataset.events, alarm);

// --- Composing: checks as it is typed -----------------------------------------------------------------------------------
const compose = $("#compose");
if (compose) {
  const part = $("#check");
  let waiting = 0;
  let asked = 0;
  const check = async () => {
    const own = ++asked;
    const body = new URLSearchParams([...new FormData(compose)].filter(([, value]) => typeof value === "string"));
    const answer = await fetch(compose.dataset.check, { method: "POST", headers: BY_ITSELF, body }).catch(() => null);
    const text = answer?.ok ? await answer.text() : "";
    // An older answer than one that is shown is of no use.
    if (own !== asked) return;
    if (answer?.ok) part.innerHTML = text;
    // What is shown is then of what was typed before, and says so.
    const unchecked = $("#unchecked");
    unchecked.hidden = Boolean(answer?.ok);
    $("code", unchecked).textContent = answer ? `HTTP ${answer.status}` : "";
  };
  compose.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(check, 500); });
}

// --- Calls in this browser ----------------------------------------------------------------------------------------------
const push = $("#push");
if (push && "serviceWorker" in navigator && "PushManager" in window) {
  push.hidden = false;
  push.addEventListener("submit", async (event) => {
    if (push.elements.subscription.value) return;
    event.preventDefault();
    try {
      const { subscribe } = await import("/assets/subscribe.js");
      push.elements.subscription.value = JSON.stringify(await subscribe(push.dataset.key));
      push.submit();
    } catch (error) {
      $("[role=alert]", push).textContent = `${push.dataset.failed} ${error.message}`;
    }
  });
}
