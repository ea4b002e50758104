// A place chosen on a map: a county, an exact spot, or a shape. The list beside it does the same without script; what is chosen here
// is written into the form's own fields. Leaflet and the outlines come only when somebody opens the map.
const part = (tag, attributes) => Object.assign(document.createElement(tag), attributes);

let ground = null;
async function outlines() {
  const sheet = part("link", { rel: "stylesheet", href: "/assets/vendor/leaflet.css" });
  const script = part("script", { src: "/assets/vendor/leaflet.js" });
  const loaded = new Promise((done, failed) => { script.onload = done; script.onerror = failed; });
  document.head.append(sheet, script);
  const [answer] = await Promise.all([fetch("/regions.geojson"), loaded]);
  return answer.json();
}

// Whether a point lies in a county: how many of its borders lie west of it.
function holds({ geometry }, { lat, lng }) {
  let inside = false;
  for (const [ring] of geometry.coordinates) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
      const [[x, y], [a, b]] = [ring[i], ring[j]];
      if (y > lat !== b > lat && lng < ((a - x) * (lat - y)) / (b - y) + x) inside = !inside;
    }
  }
  return inside;
}

async function open(box) {
  const { form } = box.querySelector("button");
  const field = (name) => form.elements[`${box.dataset.at}${name}`];
  const told = box.querySelector("output");
  const data = await (ground ??= outlines());
  const counties = data.features.filter(({ properties }) => properties.kind !== "sea");
  const map = L.map(box.querySelector(".chart"), { attributionControl: false, zoomSnap: 0.25 });
  const style = { color: "#777", weight: 0.7, fillColor: "#f2f0eb", fillOpacity: 1 };
  const layer = L.geoJSON({ ...data, features: counties }, { style, interactive: false }).addTo(map);
  // Round about the county of the list, where one is chosen.
  const near = layer.getLayers().find((shape) => shape.feature.properties.code === field("county").value);
  map.fitBounds(near ? near.getBounds().pad(0.5) : layer.getBounds(), { animate: false });
  const chosen = L.layerGroup().addTo(map);
  const mark = { color: "#123c8c", weight: 3, fillOpacity: 0.25 };
  let tool = "county";
  let corners = [];
  const clear = () => {
    corners = [];
    chosen.clearLayers();
    for (const name of ["lat", "lon", "shape"]) field(name).value = "";
    told.textContent = "";
  };
  const acts = {
    county(at) {
      clear();
      const found = counties.find((county) => holds(county, at));
      field("county").value = found?.properties.code ?? "";
      if (found) L.geoJSON(found, { style: mark, interactive: false }).addTo(chosen);
      told.textContent = found ? field("county").selectedOptions[0].text : told.dataset.off;
    },
    spot(at) {
      clear();
      field("lat").value = at.lat.toFixed(6);
      field("lon").value = at.lng.toFixed(6);
      L.circleMarker(at, { ...mark, radius: 7 }).addTo(chosen);
      const found = counties.find((county) => holds(county, at));
      if (found) field("county").value = found.properties.code;
      told.textContent = found ? `${told.dataset.spot} · ${field("county").selectedOptions[0].text}` : told.dataset.off;
    },
    draw(at) {
      const all = [...corners, at];
      clear();
      corners = all;
      L.polygon(corners, mark).addTo(chosen);
      corners.forEach((corner) => L.circleMarker(corner, { ...mark, radius: 4 }).addTo(chosen));
      if (corners.length > 2) field("shape").value = corners.map(({ lat, lng }) => `${lat.toFixed(5)},${lng.toFixed(5)}`).join(" ");
      told.textContent = `${told.dataset.corners} ${corners.length}`;
    },
  };
  const tools = [...box.querySelectorAll("[data-tool]")];
  tools.forEach((button) => button.addEventListener("click", () => {
    tool = button.dataset.tool;
    corners = [];
    tools.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
  }));
  map.on("click", ({ latlng }) => acts[tool](latlng));
  // The cross in the middle: arrows move the map, this button takes what is under it.
  box.querySelector("[data-here]").addEventListener("click", () => acts[tool](map.getCenter()));
  box.querySelector("[data-clear]").addEventListener("click", clear);
  field("county").addEventListener("change", clear);
  box.dataset.ready = "1";
}

for (const box of document.querySelectorAll(".pick")) {
  box.hidden = false;
  const button = box.querySelector("button");
  const body = box.querySelector(".picker");
  const told = box.querySelector("output");
  const field = (name) => button.form.elements[`${box.dataset.at}${name}`];
  let opened = null;
  // What the map gave to a form that was refused is in it still, until another county is chosen.
  const corners = field("shape").value.split(" ").filter(Boolean).length;
  if (corners) told.textContent = `${told.dataset.corners} ${corners}`;
  else if (field("lat").value) told.textContent = told.dataset.spot;
  field("county").addEventListener("change", () => {
    for (const name of ["lat", "lon", "shape"]) field(name).value = "";
    for (const output of [told, box.previousElementSibling.querySelector("output")]) output.textContent = "";
  });
  button.addEventListener("click", () => {
    body.hidden = !body.hidden;
    button.setAttribute("aria-expanded", String(!body.hidden));
    if (!body.hidden) opened ??= open(box).catch(() => { opened = null; ground = null; told.textContent = box.dataset.not; });
  });
}
