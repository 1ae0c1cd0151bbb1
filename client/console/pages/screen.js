// The panes of a screen, drawn as boxes on a frame, and their template for site.yaml.

import { translate } from "./words.js";

const root = document.getElementById("screen");
const at = (id) => document.getElementById(id);
const url = `${root.dataset.base}/${root.dataset.line}`;
const fields = at("boxes").elements;
const CORNERS = ["x0", "y0", "x1", "y1"];
const ORIGINS = { regions: "the file states them", template: "by a template of site.yaml", detected: "detected in the pictures", whole: "the whole screen" };
const COLOURS = { contrast: "#ffd24d", bmode: "#7fd1ff" };
let facts, picture, start = null;

function box(name) {
  const values = CORNERS.map((corner) => fields[`${name}-${corner}`].value);
  return values.every((value) => value !== "") ? values.map(Number) : null;
}

function setBox(name, values) {
  CORNERS.forEach((corner, index) => { fields[`${name}-${corner}`].value = values ? values[index] : ""; });
}

function draw() {
  const canvas = at("picture");
  const scale = Math.min(2, canvas.parentElement.clientWidth / facts.columns);
  canvas.width = Math.round(facts.columns * scale);
  canvas.height = Math.round(facts.rows * scale);
  canvas.style.width = `${canvas.width}px`;
  canvas.style.height = `${canvas.height}px`;
  const g = canvas.getContext("2d");
  g.drawImage(picture, 0, 0, canvas.width, canvas.height);
  g.font = "14px system-ui, sans-serif";
  for (const [name, colour] of Object.entries(COLOURS)) {
    const found = box(name);
    if (!found || (name === "bmode" && fields.alone.checked)) continue;
    const [x0, y0, x1, y1] = found.map((value) => value * scale);
    g.strokeStyle = colour;
    g.lineWidth = 2;
    g.strokeRect(x0, y0, x1 - x0, y1 - y0);
    g.fillStyle = colour;
    g.fillText(translate(name === "bmode" ? "B-mode pane" : "Contrast pane"), x0 + 5, y0 + 17);
  }
}

function pixel(event) {
  const place = at("picture").getBoundingClientRect();
  const clamp = (share, high) => Math.round(Math.min(Math.max(share * high, 0), high));
  return [clamp((event.clientX - place.left) / place.width, facts.columns), clamp((event.clientY - place.top) / place.height, facts.rows)];
}

// The box that is being drawn; the second one has the size of the first.
function dragged(event) {
  if (!start) return;
  const name = fields.which.value, other = box(name === "bmode" ? "contrast" : "bmode");
  const [x, y] = pixel(event);
  const values = [Math.min(start[0], x), Math.min(start[1], y), Math.max(start[0], x), Math.max(start[1], y)];
  if (name === "bmode" && other) {
    const width = other[2] - other[0], height = other[3] - other[1];
    values[0] = Math.min(values[0], facts.columns - width);
    values[1] = Math.min(values[1], facts.rows - height);
    values[2] = values[0] + width;
    values[3] = values[1] + height;
  }
  setBox(name, values);
  draw();
}

async function save(event) {
  event.preventDefault();
  const given = {
    manufacturer: fields.manufacturer.value,
    rows: facts.rows,
    columns: facts.columns,
    contrast: box("contrast"),
    bmode: fields.alone.checked ? null : box("bmode"),
    tint: fields.tint.value,
    dynamic_range_db: Number(fields.dynamic_range_db.value),
  };
  if (!given.contrast || (!given.bmode && !fields.alone.checked)) {
    at("said").textContent = translate("Draw both panes, or say that there is no B-mode pane.");
    return;
  }
  const response = await fetch(`${url}/template`, { method: "POST", headers: { "x-form": root.dataset.form }, body: JSON.stringify(given) });
  const text = await response.text();
  try {
    const answer = JSON.parse(text);
    at("said").textContent = response.ok ? `${translate("Written into site.yaml:")} ` : answer.message;
    if (response.ok) at("said").append(Object.assign(document.createElement("code"), { textContent: answer.entry }));
  } catch { at("said").textContent = text; }
}

async function open() {
  const [state, image] = await Promise.all([fetch(`${url}/screen-state`), fetch(`${url}/screen.png`)]);
  if (!state.ok || !image.ok) {
    at("found").textContent = state.ok ? await image.text() : (await state.json()).message;
    return;
  }
  facts = await state.json();
  picture = await createImageBitmap(await image.blob());
  setBox("contrast", facts.contrast);
  setBox("bmode", facts.bmode);
  fields.alone.checked = Boolean(facts.contrast) && !facts.bmode;
  if (facts.manufacturer !== "unknown" && facts.manufacturer !== "other") fields.manufacturer.value = facts.manufacturer;
  if (facts.tint) fields.tint.value = facts.tint;
  if (facts.dynamic_range_db) fields.dynamic_range_db.value = facts.dynamic_range_db;
  at("found").textContent = translate("{0} × {1} pixels. Panes now: {2}.", facts.columns, facts.rows, translate(ORIGINS[facts.origin] ?? facts.origin));
  draw();
  const canvas = at("picture");
  canvas.addEventListener("pointerdown", (event) => { start = pixel(event); canvas.setPointerCapture(event.pointerId); dragged(event); });
  canvas.addEventListener("pointermove", dragged);
  canvas.addEventListener("pointerup", () => {
    start = null;
    if (fields.which.value === "contrast" && !fields.alone.checked) fields.which.value = "bmode";
  });
  at("boxes").addEventListener("input", draw);
  at("boxes").addEventListener("submit", save);
  window.addEventListener("resize", draw);
  root.dataset.state = "ready";
}

open();
