// The map. Every page works without it; composing writes what is drawn into the form's own fields.
import { outlines } from "./upload.js";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const BY_ITSELF = { "x-by-itself": "1" };

const place = $("#map");
if (place && window.L) {
  const chinese = document.documentElement.lang.startsWith("zh");
  const codes = (text) => new Set((text ?? "").split(",").filter(Boolean));
  let chosen = codes(place.dataset.regions);
  const edge = codes(place.dataset.edge);
  // Bars count the level: print and eyes that see no colour read it too.
  const hatch = `url(#hatch-${place.dataset.level || "plain"})`;
  const map = L.map(place, { attributionControl: false, keyboard: true, zoomSnap: 0.5 }).setView([31, 120.5], 6);
  let shares = {};
  const style = (feature) => {
    const { code, kind } = feature.properties;
    const on = chosen.has(code);
    if (kind === "sea") return { color: "#6f93a6", weight: 0.5, fillOpacity: on ? 0.5 : 0, fillColor: hatch };
    const share = shares[code];
    // A county at the shape's edge is hatched thinner, in a broken line.
    const full = edge.has(code) ? 0.5 : 0.9;
    return {
      color: on ? "#111" : "#8a8a8a", weight: on ? 1.6 : 0.6, dashArray: on && edge.has(code) ? "5 4" : null,
      fillColor: hatch, fillOpacity: on ? (share === undefined ? full : 0.12 + 0.88 * share) : 0,
    };
  };
  const answer = await fetch("/regions.geojson", { headers: BY_ITSELF }).catch(() => null);
  const ground = answer?.ok ? await answer.json() : { type: "FeatureCollection", features: [] };
  // Land lies under the counties, so that a pale one is a little of its level, not of the sea.
  const land = { stroke: false, fillColor: "#f2f0eb", fillOpacity: 1 };
  L.geoJSON(ground, { interactive: false, filter: ({ properties }) => properties.kind !== "sea", style: land }).addTo(map);
  const layer = L.geoJSON(ground, {
    style,
    onEachFeature: (feature, shape) => shape.bindTooltip(() => {
      const { zh, en, code } = feature.properties;
      const share = shares[code];
      const text = document.createElement("span");
      text.textContent = `${chinese ? zh : en} ${code}${share === undefined ? "" : ` ${Math.round(share * 100)} %`}`;
      return text;
    }),
  }).addTo(map);
  // A tip makes a browser stop at each county: keys would take minutes to get past the map. What it shows stands in words, too.
  layer.eachLayer((shape) => shape.getElement()?.setAttribute("tabindex", "-1"));
  // No neighbour's border lies over that of a chosen one.
  const raise = () => {
    const inside = layer.getLayers().filter((shape) => chosen.has(shape.feature.properties.code));
    inside.forEach((shape) => shape.bringToFront());
    return inside;
  };
  const look = () => {
    const inside = raise();
    const bounds = inside.length ? L.featureGroup(inside).getBounds().pad(0.2) : layer.getBounds();
    if (bounds.isValid()) map.fitBounds(bounds, { animate: false });
  };
  look();
  const drawn = L.featureGroup().addTo(map);
  const { polygons = [], circles = [] } = JSON.parse(place.dataset.shapes || "{}");
  const line = { color: "#111", weight: 2, dashArray: "6 4", fill: false };
  polygons.forEach((ring) => L.polygon(ring, line).addTo(drawn));
  circles.forEach(([lat, lon, radius]) => L.circle([lat, lon], { ...line, radius }).addTo(drawn));
  // Devices: a sign for each, the silent ones above the others.
  const signs = { alive: "●", silent: "✕", never: "○", unknown: "○" };
  const marks = JSON.parse(place.dataset.marks || "[]").map(({ at, is, name }) => {
    const icon = L.divIcon({ className: `device ${is}`, html: signs[is] ?? "○", iconSize: [22, 22] });
    const tip = document.createElement("span");
    tip.textContent = name;
    return L.marker(at, { icon, title: name, keyboard: false, zIndexOffset: is === "silent" ? 1_000 : 0 }).bindTooltip(tip).addTo(map);
  });
  if (marks.length) map.fitBounds(L.featureGroup(marks).getBounds().pad(0.3), { animate: false, maxZoom: 11 });
  place.dataset.ready = "1";

  if ("told" in place.dataset) {
    // How much of each county is told comes with the numbers; some may have come before the map was there.
    const fill = () => {
      shares = $(".live").shares ?? {};
      layer.setStyle(style);
      place.dataset.shares = Object.keys(shares).length;
    };
    fill();
    document.addEventListener("told", fill);
  }

  if ("draw" in place.dataset) compose(map, layer, drawn, line, (now) => { chosen = now; layer.setStyle(style); raise(); });
}

// --- Composing ----------------------------------------------------------------------------------------------------------
function compose(map, layer, drawn, line, choose) {
  const form = $("#compose");
  const field = (name) => form.elements[name];
  const write = (name, text) => { field(name).value = text; field(name).dispatchEvent(new Event("input", { bubbles: true })); };
  const add = (name, text) => write(name, [field(name).value.trim(), text].filter(Boolean).join("\n"));
  const corner = ([lat, lon]) => `${lat.toFixed(5)},${lon.toFixed(5)}`;
  // What is drawn is what the fields say, however it got there.
  const draw = () => {
    const lines = (name) => field(name).value.split("\n").map((text) => text.trim()).filter(Boolean);
    const point = (text) => text.split(",").map(Number);
    const well = (points) => points.every((at) => at.length === 2 && at.every(Number.isFinite));
    drawn.clearLayers();
    lines("polygons").map((text) => text.split(/\s+/).map(point)).filter((ring) => ring.length > 2 && well(ring))
      .forEach((ring) => L.polygon(ring, line).addTo(drawn));
    lines("circles").map((text) => text.split(/\s+/)).filter(([at, km]) => well([point(at)]) && Number(km) > 0)
      .forEach(([at, km]) => L.circle(point(at), { ...line, radius: Number(km) * 1_000 }).addTo(drawn));
  };
  ["polygons", "circles"].forEach((name) => field(name).addEventListener("input", draw));
  draw();
  const look = () => {
    const bounds = drawn.getBounds();
    if (bounds.isValid()) map.fitBounds(bounds.pad(0.5), { animate: false });
  };
  look();
  let tool = "county";
  let corners = [];
  let sketch = null;
  const tools = $$("[data-tool]");
  $("[data-tools]").hidden = false;
  const pick = (name) => {
    tool = name;
    corners = [];
    sketch?.remove();
    tools.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.tool === name)));
  };
  tools.forEach((button) => button.addEventListener("click", () => {
    const name = button.dataset.tool;
    if (name === "clear") {
      ["places", "polygons", "circles"].forEach((name) => write(name, ""));
      pick("county");
    } else if (name === "polygon" && tool === "polygon" && corners.length > 2) {
      add("polygons", corners.map(corner).join(" "));
      pick("county");
    } else pick(name);
  }));
  pick("county");
  layer.eachLayer((shape) => shape.on("click", (event) => {
    if (tool !== "county") return;
    L.DomEvent.stopPropagation(event);
    const { code } = shape.feature.properties;
    const own = field("places").value;
    const whole = own.split(/[\s,，、;；]+/).filter(Boolean);
    write("places", whole.includes(code) ? whole.filter((other) => other !== code).join("\n") : `${own.trim()}\n${code}`.trim());
  }));
  map.on("click", (event) => {
    const at = [event.latlng.lat, event.latlng.lng];
    if (tool === "polygon") {
      corners.push(at);
      sketch?.remove();
      sketch = (corners.length > 1 ? L.polyline(corners, line) : L.circleMarker(at, { ...line, radius: 4 })).addTo(map);
    } else if (tool === "circle" && corners.length === 0) {
      corners = [at];
      sketch = L.circleMarker(at, { ...line, radius: 4 }).addTo(map);
    } else if (tool === "circle") {
      add("circles", `${corner(corners[0])} ${(map.distance(corners[0], at) / 1_000).toFixed(1)}`);
      pick("county");
    }
  });
  const upload = $("[data-upload]");
  upload.closest("label").hidden = false;
  upload.addEventListener("change", async () => {
    const [file] = upload.files;
    if (!file) return;
    const { most, corners } = upload.dataset;
    const there = field("polygons").value.split("\n").filter((text) => text.trim()).length;
    const { rings, well, bad } = await outlines(file, { room: most - there, most, corners });
    if (rings.length > 0) {
      add("polygons", rings.map((ring) => ring.map(corner).join(" ")).join("\n"));
      look();
    }
    const say = (list) => list.map(([what, value]) => upload.dataset[what].replace("{}", value)).join(" ");
    $("[data-upload-well]").textContent = say(well);
    $("[data-upload-bad]").textContent = say(bad);
    // The same file, mended, can be taken again.
    upload.value = "";
  });
  const matched = () => choose(new Set(($("[data-matched]")?.dataset.matched ?? "").split(",").filter(Boolean)));
  new MutationObserver(matched).observe($("#check"), { childList: true, subtree: true });
  matched();
}
