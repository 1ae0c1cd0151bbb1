// What stands beside the pictures: what an outline found, the outlines that there are, how they agree.

import { translate } from "./words.js";

const at = (id) => document.getElementById(id);

function make(name, text, values = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...values });
}

export function showFindings(found, points, mmPerPixel) {
  const { parameters, quality, doubts } = found;
  const length = (pixels) => (mmPerPixel ? `${(pixels * mmPerPixel).toFixed(0)} mm` : `${pixels.toFixed(0)} px`);
  const span = (axis) => Math.max(...points.map((one) => one[axis])) - Math.min(...points.map((one) => one[axis]));
  const { peak } = found;
  const rows = [
    [translate("size"), `${length(span(0))} × ${length(span(1))}`],
    [translate("peak"), peak === null ? translate("no enhancement") : translate("{0} s, frame {1}", found.seconds[peak].toFixed(1), found.shown[peak] + 1)],
    [translate("rise (TTP)"), parameters.TTP === undefined ? "" : `${parameters.TTP.toFixed(1)} s`],
    [translate("enhancement"), parameters.PE_dB === undefined ? "" : `${parameters.PE_dB.toFixed(1)} dB`],
    [translate("box held"), translate("{0} % of {1} frames", Math.round(100 * quality.held_share), found.seconds.length)],
    [translate("key frames"), translate("{0} different frames", new Set(found.chosen).size)],
  ].filter(([, value]) => value);
  at("figures").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  at("doubts").hidden = !doubts.length;
  at("doubts").replaceChildren(make("p", translate("Look at the track: {0}.", doubts.join("; "))));
  at("notes").textContent = [...found.notes, found.source].join(" · ");
  at("result").hidden = false;
}

// Agreement is shown once the reader has an outline, so that the second one is drawn without the first.
export function showOutlines({ outlines, agreement }, isMine, shown, work) {
  at("known").hidden = !outlines.length;
  at("outlines").replaceChildren(...outlines.map((one) => describe(one, shown, work)));
  const pairs = outlines.some(isMine) || outlines.length > 2 ? agreement : [];
  at("agreement").replaceChildren(...(pairs.length ? [makeTable(pairs)] : []));
}

function describe(one, shown, work) {
  const item = document.createElement("li");
  const when = one.at ? `, ${new Date(one.at).toLocaleString()}` : "";
  item.append(make("span", `${translate("{0}, frame {1}", one.called, one.frame + 1)}${when}${one.used ? ` · ${translate("in the table")}` : ""}`));
  const buttons = { [translate("Load")]: work.load, [translate(shown.has(one.name) ? "Hide" : "Show")]: work.show };
  if (!one.used) buttons[translate("Use in the table")] = work.use;
  for (const [text, click] of Object.entries(buttons)) {
    item.append(make("button", text, { className: "link", onclick: () => click(one) }));
  }
  return item;
}

function makeTable(pairs) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow(), body = table.createTBody();
  for (const name of [translate("agreement"), "Dice", "Hausdorff"]) head.append(make("th", name));
  for (const { readers, frames, dice, hausdorff, unit } of pairs) {
    const apart = frames[0] === frames[1] ? "" : `, ${translate("on frames {0} and {1}", frames[0] + 1, frames[1] + 1)}`;
    const cells = [make("th", `${translate("{0} and {1}", ...readers)}${apart}`), make("td", dice.toFixed(3))];
    body.insertRow().append(...cells, make("td", `${hausdorff.toFixed(1)} ${unit}`));
  }
  return table;
}

export function showNeighbours(others, base) {
  at("neighbours").hidden = !others.length;
  at("others").replaceChildren(...others.map((other) => {
    const item = document.createElement("li");
    const text = `${other.lesion}, ${translate(other.outlines.length ? "outlined" : "without outline")}`;
    item.append(make("a", text, { href: `${base}/${other.line}` }));
    return item;
  }));
}
