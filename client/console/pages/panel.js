// What stands beside the pictures: what an outline found, the outlines that there are, how they agree.

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
    ["size", `${length(span(0))} × ${length(span(1))}`],
    ["peak", peak === null ? "no enhancement" : `${found.seconds[peak].toFixed(1)} s, frame ${found.shown[peak] + 1}`],
    ["rise (TTP)", parameters.TTP === undefined ? "" : `${parameters.TTP.toFixed(1)} s`],
    ["enhancement", parameters.PE_dB === undefined ? "" : `${parameters.PE_dB.toFixed(1)} dB`],
    ["box held", `${Math.round(100 * quality.held_share)} % of ${found.seconds.length} frames`],
    ["key frames", `${new Set(found.chosen).size} different`],
  ].filter(([, value]) => value);
  at("figures").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  at("doubts").hidden = !doubts.length;
  at("doubts").replaceChildren(make("p", `Look at the track: ${doubts.join("; ")}.`));
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
  item.append(make("span", `${one.called}, frame ${one.frame + 1}${when}${one.used ? " · in the table" : ""}`));
  const buttons = { Load: work.load, [shown.has(one.name) ? "Hide" : "Show"]: work.show };
  if (!one.used) buttons["Use in the table"] = work.use;
  for (const [text, click] of Object.entries(buttons)) {
    item.append(make("button", text, { className: "link", onclick: () => click(one) }));
  }
  return item;
}

function makeTable(pairs) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow(), body = table.createTBody();
  for (const name of ["agreement", "Dice", "Hausdorff"]) head.append(make("th", name));
  for (const { readers, frames, dice, hausdorff, unit } of pairs) {
    const apart = frames[0] === frames[1] ? "" : `, on frames ${frames[0] + 1} and ${frames[1] + 1}`;
    const cells = [make("th", `${readers.join(" and ")}${apart}`), make("td", dice.toFixed(3))];
    body.insertRow().append(...cells, make("td", `${hausdorff.toFixed(1)} ${unit}`));
  }
  return table;
}

export function showNeighbours(others, base) {
  at("neighbours").hidden = !others.length;
  at("others").replaceChildren(...others.map((other) => {
    const item = document.createElement("li");
    const text = `${other.lesion}, ${other.outlines.length ? "outlined" : "without outline"}`;
    item.append(make("a", text, { href: `${base}/${other.line}` }));
    return item;
  }));
}
