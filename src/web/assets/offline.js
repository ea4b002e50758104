// The offline page says how old it is, strikes what is over, and adds what was pushed since. It reads as well without this.
const page = document.querySelector("[data-offline]");
const list = page.querySelector("ul");
const lang = document.documentElement.lang;
const clock = (time) => new Date(time).toLocaleString(lang, { timeZone: "Asia/Shanghai", dateStyle: "medium", timeStyle: "short" });
const state = await caches.open("tocsin-state");
const recall = async (name) => (await state.match(`/state/${name}`))?.json();

function age(since) {
  const minutes = Math.max(0, Math.round((Date.now() - since) / 60_000));
  const unit = minutes < 120 ? ["minute", minutes] : minutes < 2_880 ? ["hour", Math.round(minutes / 60)] : ["day", Math.round(minutes / 1_440)];
  return new Intl.RelativeTimeFormat(lang, { numeric: "always" }).format(-unit[1], unit[0]);
}

function line(tag, text, name) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

// A push in place of what the page says of its event.
function put(told) {
  page.querySelector(`[data-event="${CSS.escape(told.event)}"]`)?.remove();
  const over = told.variant !== "warn" || (told.expires && Date.parse(told.expires) < Date.now());
  const card = line("li", "", `card level-${over ? "ended" : told.level ?? ""}`);
  card.lang = told.lang;
  card.append(line("h3", told.title), line("p", told.body), line("p", `${page.dataset.pushed} ${clock(told.at)}`, "quiet"));
  list.prepend(card);
}

const seen = await recall("seen");
if (seen) {
  page.querySelector("[data-seen]").textContent = `${clock(seen)} (${age(seen)})`;
}
for (const card of page.querySelectorAll("[data-until]")) {
  if (Date.parse(card.dataset.until) > Date.now()) continue;
  card.className = "card level-ended";
  card.prepend(line("p", page.dataset.over, "calm"));
}
const told = (await recall("told")) ?? [];
told.filter((one) => one.at > (seen ?? 0)).reverse().forEach(put);
page.querySelector("[data-none]").hidden = list.children.length > 0;
