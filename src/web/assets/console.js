// The console's script. Every page works without it; it adds the map, live numbers, keys, and the word before the session ends.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const base = document.body.dataset.base;
const title = document.title;

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
  const hour = (time) => new Date(time).toLocaleTimeString();
  setInterval(() => {
    const left = until - Date.now();
    if (left <= 0) location.reload();
    else if (left < 120_000 && !idle.open) { $("time", idle).textContent = hour(until); idle.showModal(); }
  }, 5_000);
  $("form", idle).addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch("/stay", { method: "POST", body: new URLSearchParams(new FormData(event.target)) });
    if (!answer.ok) { location.reload(); return; }
    until = Number(await answer.text());
    delete event.target.dataset.sent;
    idle.close();
  });
}

// --- Time left --------------------------------------------------------------------------------------------------------
setInterval(() => $$("meter[data-due]").forEach((meter) => {
  const { from, due } = meter.dataset;
  meter.value = Math.max(0, Math.min(100, ((due - Date.now()) / (due - from)) * 100));
}), 1_000);

// --- What is told as it happens. The browser takes the line up again by itself, in the background too ------------------
const offline = $("#offline");
const listen = (url, told) => {
  const source = new EventSource(url);
  source.onopen = () => { if (offline) offline.hidden = true; };
  source.onerror = () => {
    if (offline?.hidden) { $("time", offline).textContent = new Date().toLocaleTimeString(); offline.hidden = false; }
  };
  source.onmessage = (event) => told(JSON.parse(event.data));
  window.addEventListener("pagehide", () => source.close());
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
  sound.setAttribute("aria-pressed", String(localStorage.sound === "on"));
  sound.addEventListener("click", () => {
    localStorage.sound = localStorage.sound === "on" ? "off" : "on";
    sound.setAttribute("aria-pressed", String(localStorage.sound === "on"));
    if (localStorage.sound === "on") beep();
  });
  let digest = "";
  let red = -1;
  listen(queue.dataset.events, async (told) => {
    document.title = told.total > 0 ? `(${told.total}) ${title.replace(/^\(\d+\) /, "")}` : title.replace(/^\(\d+\) /, "");
    if (red >= 0 && told.newest_red > red && localStorage.sound === "on") beep();
    red = told.newest_red;
    if (digest && digest !== told.digest) {
      const answer = await fetch(queue.dataset.part, { headers: { "x-by-itself": "1" } });
      if (answer.redirected || !answer.ok) { location.reload(); return; }
      // Where the reader was stays in focus.
      const held = document.activeElement?.closest("#queue a")?.getAttribute("href");
      queue.innerHTML = await answer.text();
      if (held) $(`#queue a[href="${CSS.escape(held)}"]`)?.focus();
    }
    digest = told.digest;
  });
}

const number = new Intl.NumberFormat();
const live = $(".live[data-events]");
if (live) {
  let last = null;
  listen(live.dataset.events, (told) => {
    let done = 0;
    const names = Object.keys(told.channels);
    const rows = $$("tr[data-channel]", live);
    if (names.length !== rows.length) { location.reload(); return; }
    names.sort().forEach((name, index) => {
      const counts = told.channels[name];
      const row = rows[index];
      const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
      const open = counts.waiting + counts.sending;
      done += total - open;
      const bar = $("[data-progress]", row);
      bar.max = total || 1;
      bar.value = total - open;
      $("[data-total]", row).textContent = number.format(total);
      $$("[data-state]", row).forEach((cell) => { cell.textContent = number.format(counts[cell.dataset.state] ?? 0); });
    });
    const now = performance.now();
    if (last) $("[data-rate]", live).textContent = `${number.format(Math.round(((done - last.done) / (now - last.now)) * 1000))}/s`;
    last = { done, now };
    $("[data-held]", live).hidden = !told.held;
    live.dataset.settled = String(done);
  });
} else {
  const open = $("article[data-events]");
  if (open) {
    let before = "";
    // Somebody else's decision shows at once; what is being typed is not lost.
    listen(open.dataset.events, (told) => {
      const now = JSON.stringify([told.state, told.parts]);
      const busy = $$("details[open] form", open).length > 0 || typing(document.activeElement ?? document.body);
      if (before && before !== now && !busy) location.reload();
      before = now;
    });
  }
}

// --- The map ------------------------------------------------------------------------------------------------------------
const COLOURS = { red: "#c8102e", orange: "#e8730c", yellow: "#c9a500", blue: "#1f5fbf", ended: "#4b7f52", plain: "#6b5a8a" };
const place = $("#map");
if (place && window.L) {
  const chinese = document.documentElement.lang.startsWith("zh");
  const codes = (text) => new Set((text ?? "").split(",").filter(Boolean));
  let chosen = codes(place.dataset.regions);
  const edge = codes(place.dataset.edge);
  const colour = COLOURS[place.dataset.level] ?? COLOURS.plain;
  const map = L.map(place, { attributionControl: false, keyboard: true, zoomSnap: 0.5 }).setView([31, 120.5], 6);
  let shares = {};
  const style = (feature) => {
    const { code, kind } = feature.properties;
    const on = chosen.has(code);
    if (kind === "sea") return { color: "#6f93a6", weight: 0.5, fillOpacity: on ? 0.5 : 0, fillColor: colour };
    const share = shares[code];
    return {
      color: on ? "#111" : "#8a8a8a", weight: on ? 1.4 : 0.6, dashArray: edge.has(code) ? "4 3" : null,
      fillColor: on ? colour : "#f2f0eb", fillOpacity: on ? (share === undefined ? 0.65 : 0.15 + 0.75 * share) : 1,
    };
  };
  const ground = await (await fetch("/console/map.json", { headers: { "x-by-itself": "1" } })).json();
  const layer = L.geoJSON(ground, {
    style,
    onEachFeature: (feature, shape) => shape.bindTooltip(() => {
      const { zh, en, code } = feature.properties;
      const share = shares[code];
      return `${chinese ? zh : en} ${code}${share === undefined ? "" : ` ${Math.round(share * 100)} %`}`;
    }),
  }).addTo(map);
  const look = () => {
    const inside = [];
    layer.eachLayer((shape) => { if (chosen.has(shape.feature.properties.code)) inside.push(shape); });
    if (inside.length) map.fitBounds(L.featureGroup(inside).getBounds().pad(0.2));
    else map.fitBounds(layer.getBounds());
  };
  look();
  const drawn = L.featureGroup().addTo(map);
  const { polygons = [], circles = [] } = JSON.parse(place.dataset.shapes || "{}");
  const line = { color: "#111", weight: 2, dashArray: "6 4", fill: false };
  polygons.forEach((ring) => L.polygon(ring, line).addTo(drawn));
  circles.forEach(([lat, lon, radius]) => L.circle([lat, lon], { ...line, radius }).addTo(drawn));
  place.dataset.ready = "1";

  if ("told" in place.dataset) {
    const refresh = async () => {
      const answer = await fetch(location.pathname.replace(/\/live$/, "/told.json"), { headers: { "x-by-itself": "1" } });
      if (answer.ok) { shares = await answer.json(); layer.setStyle(style); }
    };
    refresh();
    setInterval(refresh, 5_000);
  }

  if ("draw" in place.dataset) compose(map, layer, drawn, style, line, (now) => { chosen = now; layer.setStyle(style); });
}

// --- Composing: the map writes into the form's own fields, which work without it ---------------------------------------
function compose(map, layer, drawn, style, line, choose) {
  const form = $("#compose");
  const field = (name) => form.elements[name];
  const changed = (name) => field(name).dispatchEvent(new Event("input", { bubbles: true }));
  const add = (name, text) => { field(name).value = [field(name).value.trim(), text].filter(Boolean).join("\n"); changed(name); };
  const round = (degrees) => degrees.toFixed(4);
  let tool = "county";
  let corners = [];
  let sketch = null;
  const tools = $$("[data-tool]");
  const pick = (name) => {
    tool = name;
    corners = [];
    sketch?.remove();
    tools.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.tool === name)));
  };
  tools.forEach((button) => button.addEventListener("click", () => {
    if (button.dataset.tool === "clear") {
      ["places", "polygons", "circles"].forEach((name) => { field(name).value = ""; changed(name); });
      drawn.clearLayers();
    } else if (button.dataset.tool === "polygon" && tool === "polygon" && corners.length > 2) {
      add("polygons", corners.map(([lat, lon]) => `${round(lat)},${round(lon)}`).join(" "));
      L.polygon(corners, line).addTo(drawn);
      pick("county");
    } else pick(button.dataset.tool);
  }));
  pick("county");
  layer.eachLayer((shape) => shape.on("click", (event) => {
    if (tool !== "county") return;
    L.DomEvent.stopPropagation(event);
    const { code } = shape.feature.properties;
    const codes = field("places").value.split(/[\s,，、;；]+/).filter(Boolean);
    field("places").value = (codes.includes(code) ? codes.filter((own) => own !== code) : [...codes, code]).join(" ");
    changed("places");
  }));
  map.on("click", (event) => {
    const at = [event.latlng.lat, event.latlng.lng];
    if (tool === "polygon") {
      corners.push(at);
      sketch?.remove();
      sketch = L.polyline(corners, line).addTo(map);
    } else if (tool === "circle") {
      if (corners.length === 0) { corners = [at]; sketch = L.circleMarker(at, { radius: 4 }).addTo(map); return; }
      const radius = map.distance(corners[0], at);
      add("circles", `${round(corners[0][0])},${round(corners[0][1])} ${(radius / 1000).toFixed(1)}`);
      L.circle(corners[0], { ...line, radius }).addTo(drawn);
      pick("county");
    }
  });
  $("[data-upload]").addEventListener("change", async (event) => {
    const data = JSON.parse(await event.target.files[0].text());
    const found = [];
    const walk = (node) => {
      if (!node || found.length >= 20) return;
      if (node.type === "FeatureCollection") node.features.forEach(walk);
      else if (node.type === "Feature") walk(node.geometry);
      else if (node.type === "Polygon") found.push(node.coordinates[0]);
      else if (node.type === "MultiPolygon") node.coordinates.forEach((part) => found.push(part[0]));
    };
    walk(data);
    found.forEach((ring) => {
      add("polygons", ring.map(([lon, lat]) => `${lat.toFixed(5)},${lon.toFixed(5)}`).join(" "));
      L.polygon(ring.map(([lon, lat]) => [lat, lon]), line).addTo(drawn);
    });
  });
  const matched = () => choose(new Set(($("[data-matched]")?.dataset.matched ?? "").split(",").filter(Boolean)));
  new MutationObserver(matched).observe($("#check"), { childList: true, subtree: true });
  matched();
}
