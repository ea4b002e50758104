// The residents' pages work without this. It adds: where I am, a proof of work before a form is sent, and a test's result by itself.

for (const row of document.querySelectorAll(".here")) {
  if (!navigator.geolocation) continue;
  row.hidden = false;
  const button = row.querySelector("button");
  const told = row.querySelector("output");
  button.addEventListener("click", () => {
    button.disabled = true;
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        const form = button.form;
        form.elements[`${button.dataset.here}lat`].value = coords.latitude.toFixed(6);
        form.elements[`${button.dataset.here}lon`].value = coords.longitude.toFixed(6);
        told.textContent = `${told.dataset.told} (±${Math.round(coords.accuracy)} m)`;
        button.disabled = false;
      },
      () => {
        told.textContent = told.dataset.not;
        button.disabled = false;
      },
      { enableHighAccuracy: true, timeout: 15000 },
    );
  });
}

// A solution's hash begins with 16 zero bits.
async function solve(task) {
  const encoder = new TextEncoder();
  for (let n = 0; ; n += 1) {
    const text = `${task}:${n}`;
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
    if (hash[0] === 0 && hash[1] === 0) return text;
  }
}

for (const form of document.querySelectorAll("form")) {
  const work = form.querySelector("input[data-task]");
  if (!work || !("needsWork" in form.dataset) || !globalThis.crypto?.subtle) continue;
  let solution = null;
  const begin = () => (solution ??= solve(work.dataset.task));
  form.addEventListener("focusin", begin, { once: true });
  form.addEventListener("submit", async (event) => {
    if (work.value) return;
    event.preventDefault();
    const button = form.querySelector("button.wide");
    button.disabled = true;
    work.value = await begin();
    form.submit();
  });
}

const testing = document.querySelector("[data-refresh]");
if (testing) setTimeout(() => location.reload(), 2000);
