// A lesion's page: play the clip, draw the outline, see at once what it finds, accept it.

import { Chart, nearest } from "./chart.js";
import { FrameStore } from "./frames.js";
import * as panel from "./panel.js";
import { Polygon } from "./polygon.js";
import { Stage } from "./stage.js";
import { translate } from "./words.js";

const root = document.getElementById("outline");
const at = (id) => document.getElementById(id);
const { line, base, form, reader, lesion } = root.dataset;
const whose = { lesion, reader };
const url = `${base}/${line}`;
const GRAB = 9; // px of the screen within which a point or a side is meant
const STROKE = 7; // px of the screen between the points of a border that is drawn in one go

let facts, frames, stage, chart, polygon;
let frame = 0, wanted = 0, drawing = false;
let trace = null, tracing = 0, saved = "", confirmed = false, playing = null, drag = null;
let cross = null, cursor = null, region = null, shownOutlines = new Set();

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "x-form": form }, body: JSON.stringify(body) };
  const response = await fetch(`${url}/${path}`, { cache: "no-store", ...options });
  const text = await response.text();
  let answer;
  try { answer = JSON.parse(text); } catch { throw new Error(text); }
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

const pause = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });

function say(text, kind = "") {
  at("status").textContent = text;
  at("status").className = `status ${kind}`;
}

// --- opening

async function open() {
  let answer = { state: "reading" };
  try {
    for (const began = Date.now(); answer.state === "reading"; ) {
      answer = await ask("state");
      if (answer.state !== "reading") break;
      at("waiting").textContent = translate("The clips are being read … {0} s", Math.round((Date.now() - began) / 1000));
      await pause(250);
    }
  } catch (error) {
    at("waiting").textContent = "";
    say(error.message, "bad");
    return;
  }
  facts = answer;
  at("waiting").hidden = true;
  frames = new FrameStore(`${url}/frames`, facts.seconds.length);
  stage = new Stage(at("panes"), facts);
  polygon = new Polygon(facts.columns, facts.rows);
  chart = new Chart(at("chart"), facts.seconds, facts.timed, seek);
  at("slider").max = facts.seconds.length - 1;
  listen();
  showOutlines(facts);
  panel.showNeighbours(facts.others, base);
  const doubted = root.dataset.kind === "doubtful" ? facts.outlines.find((one) => one.used) : undefined;
  const own = doubted ?? facts.outlines.find(isMine);
  if (own) await load(own); else { await seek(firstLook()); greet(); }
  root.dataset.state = "ready";
  if (root.dataset.next) readAhead(root.dataset.next);
}

// Let the console read the next lesion's clips while this one is drawn. An answer that is not read keeps its connection.
async function readAhead(next) {
  try { await (await fetch(`${base}/${next}/state`, { cache: "no-store" })).text(); } catch { /* its own page tells */ }
}

function greet() {
  const used = facts.outlines.find((one) => one.used);
  if (facts.trouble) say(facts.trouble, "bad");
  else if (used) say(translate("There is an outline ({0}, frame {1}). L loads it to look at or to correct; or draw your own without seeing it.", used.called, used.frame + 1));
  else say(translate("Find the frame with the largest tumour in the arterial phase, and outline it there."));
}

// About the arterial phase's height; a clip whose times do not count from the injection from its beginning.
function firstLook() { return facts.timed ? Math.max(0, nearest(facts.seconds, 25)) : 0; }

// --- frames

async function seek(number) {
  wanted = Math.min(Math.max(0, number), facts.seconds.length - 1);
  if (drawing) return;
  drawing = true;
  try {
    while (stage.picture === null || frame !== wanted) {
      const next = wanted;
      const picture = await frames.picture(next);
      stage.picture?.close();
      stage.picture = picture;
      frame = next;
      redraw();
    }
  } catch (error) {
    stop();
    say(error.message, "bad");
  } finally { drawing = false; }
}

function phase(second) {
  if (!facts.timed) return "";
  if (second < 0) return translate("before injection");
  return second < 30 ? translate("arterial phase") : second < 120 ? translate("portal venous phase") : translate("late phase");
}

function redraw() {
  const second = facts.seconds[frame];
  at("slider").value = frame;
  at("where").textContent = [translate("frame {0} of {1}", frame + 1, facts.seconds.length), `${second.toFixed(1)} s`, phase(second), facts.first[frame] < 0 ? translate("later clip") : ""].filter(Boolean).join(" · ");
  const moved = polygon.closed && polygon.frame !== facts.first[frame];
  const index = trace ? trace.shown.indexOf(frame) : -1;
  const [dx, dy] = index >= 0 ? trace.shift[index] : [0, 0];
  const points = !moved ? polygon.points : index >= 0 ? polygon.points.map(([x, y]) => [x + dx, y + dy]) : [];
  stage.draw({
    points: polygon.closed || polygon.frame === facts.first[frame] || !polygon.points.length ? points : [],
    closed: polygon.closed,
    chosen: polygon.chosen,
    moved,
    draft: drag ? null : cursor,
    box: index >= 0 ? [trace.box[0] + dx, trace.box[1] + dy, trace.box[2] + dx, trace.box[3] + dy] : null,
    held: index >= 0 && trace.held[index],
    others: otherLines(),
    place: region,
    radius: Number(at("radius").value),
    cross,
  });
  chart.frame = frame;
  chart.trace = trace;
  chart.draw();
  at("undo").disabled = !polygon.before.length;
  at("redo").disabled = !polygon.after.length;
  at("clear").disabled = !polygon.points.length;
  at("close").disabled = polygon.closed || polygon.points.length < 3;
  at("accept").disabled = !polygon.closed || tracing > 0 || saved === signature();
  const used = facts.outlines.find((one) => one.used);
  at("confirm").hidden = confirmed || !(trace?.doubts.length && used && samePolygon(used));
  at("move").disabled = !polygon.closed || polygon.frame === facts.first[frame] || facts.first[frame] < 0;
}

function otherLines() {
  const shown = facts.outlines.filter((one) => shownOutlines.has(one.name) && one.frame === facts.first[frame]);
  const near = facts.others.flatMap((other) => other.outlines).filter((one) => one.frame === facts.first[frame]);
  return [
    ...shown.map((one) => ({ points: one.polygon, colour: "#ff9df0", dash: [6, 3] })),
    ...near.map((one) => ({ points: one.polygon, colour: "#b8c4cf" })),
  ];
}

function stop() {
  clearTimeout(playing);
  playing = null;
  at("play").textContent = "▶";
}

function play() {
  if (playing !== null) { stop(); return; }
  at("play").textContent = "❚❚";
  if (frame >= facts.seconds.length - 1) wanted = 0;
  let began = performance.now(), from = facts.seconds[wanted];
  const step = async () => {
    let gone = from + (performance.now() - began) / 1000;
    let next = wanted;
    while (next + 1 < facts.seconds.length && facts.seconds[next + 1] <= gone) next += 1;
    const gap = facts.seconds[Math.min(next + 1, facts.seconds.length - 1)] - gone;
    if (gap > 2) { began = performance.now(); next += 1; from = facts.seconds[next]; } // no waiting between clips
    await seek(next);
    if (playing === null) return;
    if (next >= facts.seconds.length - 1) stop(); else playing = setTimeout(step, 15);
  };
  playing = setTimeout(step, 0);
}

// --- the outline

const signature = () => JSON.stringify([polygon.points, polygon.frame]);

function edited() {
  trace = null;
  at("result").hidden = true;
  if (polygon.closed) follow();
  else if (polygon.points.length) say(translate(polygon.points.length < 3 ? "{0} points. Go on along the border." : "{0} points. Enter, or a click on the first point, closes the outline.", polygon.points.length));
  else greet();
  redraw();
}

function addPoint(point) {
  if (facts.first[frame] < 0) { say(translate("Outline a frame of the first clip; this one is of a later clip."), "bad"); return; }
  if (polygon.points.length && polygon.frame !== facts.first[frame]) { seekOutlined(); return; }
  polygon.add(point, facts.first[frame]);
  edited();
}

function seekOutlined() {
  const place = facts.first.indexOf(polygon.frame);
  if (place >= 0) seek(place);
}

function editable() {
  if (polygon.frame === facts.first[frame]) return true;
  seekOutlined();
  say(translate("This is the outlined frame. Change the outline here, or use “Move to this frame” on another one."));
  return false;
}

async function follow() {
  const mine = signature();
  tracing += 1;
  say(translate("The lesion is being followed over all frames …"));
  redraw();
  try {
    await ask("trace", { polygon: polygon.points, frame: polygon.frame });
    let answer = { state: "working" };
    while (answer.state === "working" && mine === signature()) {
      await pause(120);
      answer = await ask("trace");
      if (answer.state === "working") say(translate("The lesion is being followed over all frames … {0} s", Math.round(answer.for_s)));
    }
    if (mine === signature()) showTrace(answer);
  } catch (error) {
    if (mine === signature()) say(error.message, "bad");
  } finally {
    tracing -= 1;
    redraw();
  }
}

function showTrace(answer) {
  if (answer.state !== "done") { say(answer.message ?? translate("The outline was not followed; change it."), "bad"); return; }
  trace = answer;
  const { doubts } = answer;
  panel.showFindings(answer, polygon.points, facts.mm_per_pixel);
  if (saved === signature()) say(translate("This outline is saved."), "good");
  else say(doubts.length ? translate("The track is doubtful: play the clip and see whether the box stays on the lesion. Enter accepts.") : translate("Play it and see whether the box stays on the lesion. Enter accepts."), doubts.length ? "bad" : "");
}

function samePolygon(outline) {
  return outline.frame === polygon.frame && outline.polygon.length === polygon.points.length
    && outline.polygon.every(([x, y], index) => Math.hypot(x - polygon.points[index][0], y - polygon.points[index][1]) < 0.02);
}

async function accept() {
  if (!polygon.closed || tracing || saved === signature()) return;
  const mine = signature();
  try {
    const answer = await ask("save", { ...whose, polygon: polygon.points, frame: polygon.frame });
    saved = mine;
    showOutlines(answer);
    const done = at("next") ? "Saved, signed {0}. N goes to the next lesion." : "Saved, signed {0}.";
    say(answer.hint || translate(done, reader), answer.hint ? "bad" : "good");
  } catch (error) { say(error.message, "bad"); }
  redraw();
}

async function load(outline) {
  polygon.change({ points: outline.polygon.map((one) => [...one]), closed: true, frame: outline.frame });
  polygon.chosen = -1;
  if (isMine(outline)) saved = signature();
  await seek(Math.max(0, facts.first.indexOf(outline.frame)));
  edited();
}

function moveHere() {
  if (at("move").disabled) return;
  const index = trace ? trace.shown.indexOf(frame) : -1;
  const [dx, dy] = index >= 0 ? trace.shift[index] : [0, 0];
  polygon.change({ points: polygon.points.map(([x, y]) => polygon.inside([x + dx, y + dy])), frame: facts.first[frame] });
  edited();
}

async function confirmTrack() {
  if (at("confirm").hidden) return;
  try {
    await ask("confirm", whose);
    confirmed = true;
    redraw();
    say(translate("Written into the table: the track is right."), "good");
  } catch (error) { say(error.message, "bad"); }
}

// --- lists

function showOutlines(answer) {
  Object.assign(facts, { outlines: answer.outlines, agreement: answer.agreement, trouble: answer.trouble });
  panel.showOutlines(facts, isMine, shownOutlines, { load, show: showOther, use });
}

const isMine = (one) => one.reader.toLowerCase() === reader.toLowerCase();

function showOther(one) {
  if (!shownOutlines.delete(one.name)) shownOutlines.add(one.name);
  showOutlines(facts);
  seek(Math.max(0, facts.first.indexOf(one.frame))).then(redraw);
}

async function use(one) {
  try {
    const answer = await ask("use", { ...whose, name: one.name });
    showOutlines(answer);
    say(`${translate("The table names the outline of {0}.", one.called)} ${answer.hint}`, "good");
  } catch (error) { say(error.message, "bad"); }
}

// --- the region under the cursor

let measured = 0;
async function measure(place) {
  region = place;
  measured += 1;
  const mine = measured;
  await pause(60);
  if (mine !== measured) return;
  try {
    const query = new URLSearchParams({ x: place[0].toFixed(2), y: place[1].toFixed(2), radius: at("radius").value });
    const answer = await ask(`curve?${query}`);
    if (mine === measured) { chart.place = answer.values; redraw(); }
  } catch (error) { if (mine === measured) say(error.message, "bad"); }
}

// --- mouse

function pressed(event) {
  at("panes").focus();
  cross = null;
  const point = stage.toPixel(event), reach = GRAB / stage.scale;
  if (event.button === 1) { drag = { kind: "pan", x: event.clientX, y: event.clientY }; event.preventDefault(); }
  if (event.button !== 0) return;
  at("panes").setPointerCapture(event.pointerId);
  if (!polygon.closed) {
    if (polygon.points.length >= 3 && polygon.frame === facts.first[frame] && distance(polygon.points[0], point) < reach) { polygon.close(); edited(); return; }
    addPoint(point);
    drag = { kind: "draw" };
    return;
  }
  if (!editable()) return;
  const near = polygon.nearest(point);
  if (near.distance < reach) polygon.chosen = near.index;
  else if (polygon.nearestSide(point).distance < reach) { polygon.chosen = polygon.insert(point); edited(); }
  else polygon.chosen = -1;
  if (polygon.chosen >= 0) drag = { kind: "move", began: false };
  redraw();
}

const distance = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by);

function moved(event) {
  const point = stage.toPixel(event);
  cursor = polygon.points.length && !polygon.closed && polygon.frame === facts.first[frame] ? point : null;
  if (drag?.kind === "pan") {
    stage.center = [stage.center[0] - (event.clientX - drag.x) / stage.scale, stage.center[1] - (event.clientY - drag.y) / stage.scale];
    drag = { kind: "pan", x: event.clientX, y: event.clientY };
  } else if (drag?.kind === "draw") {
    const last = polygon.points[polygon.points.length - 1];
    if (last && distance(last, point) * stage.scale >= STROKE) addPoint(point);
  } else if (drag?.kind === "move") {
    const points = polygon.moved(polygon.chosen, point);
    if (drag.began) polygon.amend({ points }); else polygon.change({ points });
    drag.began = true;
    trace = null;
  } else measure(point);
  redraw();
}

function released() {
  const done = drag;
  drag = null;
  if (done?.kind === "move" && done.began) edited();
  // a border that was drawn in one go ends where it began
  if (done?.kind === "draw" && polygon.points.length > 8 && distance(polygon.points[0], polygon.points[polygon.points.length - 1]) * stage.scale < 2 * GRAB) { polygon.close(); edited(); }
}

function removeAt(event) {
  event.preventDefault();
  if (!polygon.points.length || !editable()) return;
  const near = polygon.nearest(stage.toPixel(event));
  if (near.distance * stage.scale < 2 * GRAB) { polygon.remove(near.index); edited(); }
}

// --- keys

function nudge(dx, dy, far) {
  const step = far ? 10 : 1;
  if (polygon.chosen >= 0) {
    if (!editable()) return;
    const [x, y] = polygon.points[polygon.chosen];
    polygon.change({ points: polygon.moved(polygon.chosen, [x + step * dx, y + step * dy]) });
    clearTimeout(nudge.later);
    nudge.later = setTimeout(edited, 300);
    trace = null;
  } else {
    const [x, y] = cross ?? stage.center;
    cross = polygon.inside([x + step * dx, y + step * dy]);
    measure(cross);
  }
  redraw();
}

function choose(step) {
  if (!polygon.points.length || !editable()) return;
  const from = polygon.chosen < 0 && step < 0 ? 0 : polygon.chosen;
  polygon.chosen = (from + step + polygon.points.length) % polygon.points.length;
  redraw();
}

function remove() {
  if (!polygon.points.length || !editable()) return;
  polygon.remove(polygon.chosen >= 0 ? polygon.chosen : polygon.points.length - 1);
  edited();
}

function zoom(factor) {
  stage.zoomAt(polygon.chosen >= 0 ? polygon.points[polygon.chosen] : cross ?? stage.center, factor);
  redraw();
}

function undo() { if (polygon.undo()) { seekOutlined(); edited(); } }
function redo() { if (polygon.redo()) { seekOutlined(); edited(); } }
function clear() { if (polygon.points.length) { polygon.clear(); edited(); } }
function enter() { if (polygon.closed) accept(); else if (polygon.points.length >= 3) { polygon.close(); edited(); } }
function peak() { if (trace && trace.peak !== null) seek(trace.shown[trace.peak]); }
function loadUsed() { const used = facts.outlines.find((one) => one.used) ?? facts.outlines[0]; if (used) load(used); }

const KEYS = {
  ArrowLeft: (far) => { stop(); seek(wanted - (far ? 10 : 1)); },
  ArrowRight: (far) => { stop(); seek(wanted + (far ? 10 : 1)); },
  Home: () => { stop(); seek(0); },
  End: () => { stop(); seek(facts.seconds.length - 1); },
  " ": play, Enter: enter, Escape: () => { polygon.chosen = -1; cross = null; redraw(); },
  Delete: remove, Backspace: remove,
  a: (far) => nudge(-1, 0, far), d: (far) => nudge(1, 0, far), w: (far) => nudge(0, -1, far), s: (far) => nudge(0, 1, far),
  v: () => { if (!polygon.closed) addPoint(cross ?? stage.center); else if (editable() && cross) { polygon.chosen = polygon.insert(cross); edited(); } },
  ",": () => choose(-1), ".": () => choose(1),
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: () => zoom(0),
  c: clear, l: loadUsed, m: moveHere, p: peak, r: seekOutlined, t: confirmTrack,
  n: () => at("next")?.click(), "?": () => { at("keys").open = !at("keys").open; },
};

function typed(event) {
  const target = event.target;
  const own = target.matches("input[type=number], summary, a") || (target.matches("button") && ["Enter", " "].includes(event.key));
  if (own || event.altKey || event.isComposing) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z" && !event.shiftKey) undo(); else if (key === "y" || (key === "z" && event.shiftKey)) redo(); else return;
  } else if (KEYS[key]) KEYS[key](event.shiftKey); else return;
  event.preventDefault();
}

function listen() {
  const panes = at("panes");
  panes.addEventListener("pointerdown", pressed);
  panes.addEventListener("pointermove", moved);
  panes.addEventListener("pointerup", released);
  panes.addEventListener("pointercancel", released);
  panes.addEventListener("pointerleave", () => { cursor = null; redraw(); });
  panes.addEventListener("contextmenu", removeAt);
  panes.addEventListener("wheel", (event) => {
    event.preventDefault();
    stage.zoomAt(stage.toPixel(event), event.deltaY < 0 ? 1.2 : 1 / 1.2);
    redraw();
  }, { passive: false });
  document.addEventListener("keydown", typed);
  window.addEventListener("resize", () => { stage.fit(); redraw(); });
  at("slider").addEventListener("input", (event) => { stop(); seek(Number(event.target.value)); });
  at("radius").addEventListener("input", () => { if (region) measure(region); });
  const buttons = { play, back: () => KEYS.ArrowLeft(false), forward: () => KEYS.ArrowRight(false), undo, redo, clear, accept, close: enter, move: moveHere, confirm: confirmTrack };
  for (const [id, work] of Object.entries(buttons)) at(id).addEventListener("click", work);
}

open();
