// Outlines of a GeoJSON file, or why there are none. All of a file or nothing of it: half an area is another area.
const LARGEST = 64 * 1024 * 1024;

/// A refusal that the page has a text for.
class Refused extends Error {
  constructor(why, value = "") { super(why); this.why = why; this.value = value; }
}

// Corners too near to the last one say nothing that a county would notice; the server thins the same way.
function thin(ring, most) {
  for (let near = 0.0005; ring.length > most; near *= 1.5) {
    let last = null;
    ring = ring.filter(([lat, lon]) => {
      const far = !last || Math.abs(lat - last[0]) + Math.abs(lon - last[1]) > near;
      if (far) last = [lat, lon];
      return far;
    });
  }
  return ring;
}

function corner(at) {
  const [lon, lat] = Array.isArray(at) ? at : [];
  if (!(Math.abs(lat) <= 90 && Math.abs(lon) <= 180)) throw new Refused("unreadable");
  return [lat, lon];
}

// Polygons of whatever GeoJSON holds; CAP knows no holes, so they are counted.
function polygons(data) {
  const found = { rings: [], holes: 0, others: 0 };
  const whole = ([outer, ...holes]) => {
    const ring = outer.map(corner);
    if (ring.length < 4) throw new Refused("unreadable");
    found.rings.push(ring.slice(0, -1));
    found.holes += holes.length;
  };
  const walk = (node) => {
    switch (node?.type) {
      case "FeatureCollection": node.features.forEach(walk); break;
      case "Feature": if (node.geometry) walk(node.geometry); break;
      case "GeometryCollection": node.geometries.forEach(walk); break;
      case "Polygon": whole(node.coordinates); break;
      case "MultiPolygon": node.coordinates.forEach(whole); break;
      case "Point": case "MultiPoint": case "LineString": case "MultiLineString": found.others += 1; break;
      default: throw new Refused("unreadable");
    }
  };
  walk(data);
  return found;
}

/// The file's outlines, thinned to `corners` each, and what is to be said of it; `room` is how many there may be.
export async function outlines(file, { room, most, corners }) {
  try {
    if (file.size > LARGEST) throw new Refused("large", LARGEST / 1024 / 1024);
    const { rings, holes, others } = polygons(JSON.parse(await file.text()));
    if (rings.length === 0) throw new Refused("none");
    if (rings.length > room) throw new Refused("many", `${rings.length} / ${most}`);
    const before = rings.reduce((sum, ring) => sum + ring.length, 0);
    const thinned = rings.map((ring) => thin(ring, corners));
    if (thinned.some((ring) => ring.length < 3)) throw new Refused("none");
    const after = thinned.reduce((sum, ring) => sum + ring.length, 0);
    return {
      rings: thinned,
      well: [["taken", rings.length], ...(after < before ? [["thinned", `${before} → ${after}`]] : [])],
      bad: [...(holes ? [["holes", holes]] : []), ...(others ? [["others", others]] : [])],
    };
  } catch (error) {
    // What is no JSON, and what is built otherwise than GeoJSON says, is both not to be read.
    return { rings: [], well: [], bad: [error instanceof Refused ? [error.why, error.value] : ["unreadable", ""]] };
  }
}
