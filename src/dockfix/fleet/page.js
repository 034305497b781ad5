"use strict";
const rows = [...document.querySelectorAll("main > details")];
const buttons = [...document.querySelectorAll(".states button")];
const transform = document.getElementById("transform");
const name = document.getElementById("name");
const shown = document.getElementById("shown");
let state = "";

function filter() {
  let count = 0;
  const text = name.value.trim().toLowerCase();
  for (const row of rows) {
    const fits = (!state || row.dataset.state === state)
      && (!transform.value || row.dataset.transforms.split(" ").includes(transform.value))
      && row.dataset.name.includes(text);
    row.hidden = !fits;
    count += fits;
  }
  shown.textContent = `${count} shown`;
  document.getElementById("none").hidden = count > 0;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.state === state));
  const query = new URLSearchParams({ state, transform: transform.value, name: text });
  for (const [key, value] of [...query]) if (!value) query.delete(key);
  history.replaceState(null, "", `#${query}`);
}

for (const button of buttons) button.addEventListener("click", () => { state = button.dataset.state; filter(); });
transform.addEventListener("change", filter);
name.addEventListener("input", filter);
document.getElementById("open").addEventListener("click", () => {
  const visible = rows.filter((row) => !row.hidden);
  const open = !visible.every((row) => row.open);
  for (const row of visible) row.open = open;
});
for (const share of document.querySelectorAll("[data-share]")) share.style.flexGrow = share.dataset.share;
const wanted = new URLSearchParams(location.hash.slice(1));
state = wanted.get("state") ?? "";
transform.value = wanted.get("transform") ?? "";
name.value = wanted.get("name") ?? "";
filter();
